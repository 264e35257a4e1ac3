"""Tables, for the eye and for programs."""

import io
import sys

from addonry.cli.output import Table, aligned, plain, print_table


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
