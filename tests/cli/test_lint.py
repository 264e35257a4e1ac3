"""``addonry catalog lint`` and ``schema`` as commands: what they print, and how they end."""

import json

import yaml


def a_file(folder, **more):
    content = {"name": "mine", "title": "Mine", "chart": {"repository": "https://example.test/charts", "name": "mine"}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(content | more, sort_keys=False))
    return str(folder)


def test_errors_end_with_1_and_warnings_do_not(alone, tmp_path):
    warned = alone("catalog", "lint", a_file(tmp_path))
    assert warned.exit_code == 0
    assert "1 file, 0 errors, 3 warnings" in warned.stdout
    refused = alone("catalog", "lint", a_file(tmp_path, aliases=["coredns"]))
    assert refused.exit_code == 1
    assert f"{tmp_path}/mine.yaml:6" in refused.stdout
    assert "'coredns' is a name of both" in refused.stdout


def test_programs_get_the_same_as_data(alone, tmp_path):
    told = json.loads(alone("catalog", "lint", a_file(tmp_path, colour="red"), "-o", "json").stdout)
    assert (told["files"], told["errors"], told["warnings"]) == (1, 1, 0)
    [remark] = told["remarks"]
    assert (remark["file"], remark["line"], remark["severity"]) == (f"{tmp_path}/mine.yaml", 1, "error")
    assert "unknown fields colour" in remark["message"]


def test_the_packaged_files_are_checked_where_nothing_is_named(alone):
    result = alone("catalog", "lint")
    assert result.exit_code == 0
    assert "0 errors, 0 warnings" in result.stdout
    assert "Nothing is wrong." in result.stderr


def test_a_folder_that_is_not_there_is_one_line(alone, tmp_path):
    result = alone("catalog", "lint", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "no directory of component files" in result.stderr


def test_the_schema_is_printed_as_json(alone):
    assert json.loads(alone("catalog", "schema").stdout)["additionalProperties"] is False
