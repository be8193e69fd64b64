"""What a command refuses before it does anything: no estate, no Airflow and no catalogue is asked for."""

from pathlib import Path

from click.testing import CliRunner, Result

from reelkeeper_airflow.cli import main


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_report_needs_a_folder_to_be_written_to(tmp_path: Path) -> None:
    wanted = tmp_path / "none" / "x.html"
    said = invoke("report", wanted)
    assert said.exit_code == 2
    assert f"{str(wanted)!r}: expected a file in a folder that is there" in " ".join(said.output.split())
    assert "is a directory" in invoke("report", tmp_path).output


def test_rules_are_for_one_other_system() -> None:
    for flags in ((), ("--prometheus", "--cloudwatch")):
        said = invoke("alarm", "rules", *flags)
        assert (said.exit_code, "expected one of --prometheus, --cloudwatch" in said.output) == (2, True)
