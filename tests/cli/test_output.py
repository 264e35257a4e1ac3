"""Tables, for the eye and for programs."""

import io
import sys

from addonry.cli.output import Table, aligned, lines_of, plain, print_table


def test_a_piped_table_has_a_header_and_a_field_for_each_cell():
    lines = aligned(("A", "LONGER"), [("x", ""), ("yyyy", "z")])
    assert lines == ["A     LONGER", "x     -", "yyyy  z"]


def test_control_characters_are_dropped_and_line_breaks_are_blanks():
    assert plain("a\x1b[2Jb\nc\td\u202e") == "a[2Jb c d"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_markup_in_a_name_is_printed_on_a_terminal_and_not_obeyed(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(Table(("NAME",), [("[red]x[/red]",)]))
    assert "[red]x[/red]" in terminal.getvalue()


def test_on_a_narrow_terminal_only_the_last_column_gives_way(monkeypatch):
    """A name cut in two can be neither read nor copied."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    note = "the rollout waits for one pod of the old version to end"
    print_table(Table(("NAME", "TASK", "NOTE"), [("node-problem-detector", "T-6b04d389a57634d28ec643e2", note)]))
    lines = terminal.getvalue().splitlines()
    assert "node-problem-detector" in lines[1]
    assert "T-6b04d389a57634d28ec643e2" in lines[1]
    assert len(lines) > 2, "the note goes on in the lines below"


def finding(message: str, severity: str = "warns", **more: object) -> dict[str, object]:
    return {"id": "X", "severity": severity, "message": message, "remedy": "Look.", **more}


def test_a_warning_that_differs_in_its_subject_alone_is_told_once():
    told = lines_of(
        [
            ("coredns", finding("coredns is a plain Deployment.")),
            ("flannel", finding("flannel is a plain DaemonSet.")),
            ("a", finding("A rollout of DaemonSet kube-system/a is blind.")),
            ("proxy", finding("proxy is a plain DaemonSet.")),
        ]
    )
    assert told == [
        "  coredns: coredns is a plain Deployment. The same of flannel, proxy. Look.",
        "  a: A rollout of DaemonSet kube-system/a is blind. Look.",
    ]


def test_what_differs_in_more_than_its_subject_or_stands_in_the_way_is_told_of_each():
    told = lines_of(
        [
            ("a", finding("a needs 1.38.")),
            ("b", finding("b needs 1.39.")),
            ("c", finding("c is held by x.", "blocks", evidence=["x"])),
            ("d", finding("d is held by x.", "blocks", evidence=["y"])),
        ]
    )
    assert told == [
        "  a: a needs 1.38. Look.",
        "  b: b needs 1.39. Look.",
        "  c: c is held by x. Look.",
        "    seen: x",
        "  d: d is held by x. Look.",
        "    seen: y",
    ]
