"""Descriptors that are refused by name, and what is near them."""
from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed


@scenario
def test_bpf_queue(case):
    """PROVES: F466"""
    case.start_program(Program("odd_files"), "bpf-queue")
    refused_unharmed(case, r"fd \d+: a BPF map of type 22: only arrays and hash tables")
    good_end(case)


@scenario
def test_queued_lock(case):
    """The lock of a file that waits in a queue, and that nobody else has.
    PROVES: F120"""
    case.start_program(Program("odd_files"), "queued-lock")
    refused_unharmed(case, r"a file in its queue \(.*/locked\) has a lock", "--file-locks")
    good_end(case)


@scenario
def test_queued_and_held_lock(case):
    """If a task has the file as well, the lock is kept.
    PROVES: F120"""
    case.start_program(Program("odd_files"), "queued-lock", "held")
    refused_unharmed(case, r"fd \d+: a flock write lock.*--file-locks")
    images = case.dump("--file-locks")
    case.restore(images, "--file-locks")
    good_end(case)
