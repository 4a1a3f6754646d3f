"""Locks among thousands of open files, where the dump asks /proc/locks."""
from live import Program
from scenario import scenario


def round_trip(case):
    case.start_program(Program("locks_many"))
    case.refused("dump", "flock write lock.*--file-locks", "-t", case.root)
    images = case.dump("--file-locks")
    case.restore(images, "--file-locks")
    case.release()
    case.verdict()
    case.gone()


@scenario
def test_many_files(case):
    """PROVES: F120 F122"""
    round_trip(case)


@scenario(host=True)
def test_many_files_on_host(case):
    """Where /proc/locks is complete, and believed.
    PROVES: F120 F122"""
    round_trip(case)
