"""An io_uring that cannot come back as it was is refused, with the reason; it goes on unharmed."""
from live import Program
from scenario import scenario
from test_refusals import good_end, refused_unharmed

REASONS = {
    "sqpoll": "SQPOLL",
    "poll": "waits for 1 file",
    "timeout": "1 operations submitted and 0 results",
    "multishot": "used operations that give many results or none",
    "worker": "worker thread in action",
    "overflow": "no room",
    "skipped": "1 operations submitted and 0 results",
    "eventfd": "registered eventfd",
    "buffers": "provided buffers",
    "credentials": "registered credentials",
    "disabled": "R_DISABLED",
    "restricted": "restrictions",
    "hidden-file": r"registered file \(.*/file\) that it has not open otherwise",
    "twin-files": r"registered file \(.*/file\) that it has open several times",
    "unmapped": "has not mapped",
    "number": "registered descriptor of an io_uring",
}


@scenario(args=list(REASONS))
def test_io_uring_refused(case, kind):
    case.start_program(Program("io_uring_odd"), kind)
    refused_unharmed(case, rf"\b{case.root}\b.*{REASONS[kind]}")
    good_end(case)
