"""The interfaces say the same: command line, manual, requests, libcriu."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

from live import FERMATA, ROOT

sys.path.insert(0, str(Path(FERMATA).parent / "python"))

# Fields of requests that no option of the command line has, and what they are said by instead.
FIELDS_ONLY = {
    "images_dir_fd", "work_dir_fd", "log_to_stderr", "notify_scripts", "config_file", "exec_cmd",
    "orphan_pts_master", "pidfd_store_sk", "ps", "pid", "images_dir", "log_level", "log_file",
    # several fields for one option
    "veths", "ext_mnt", "auto_ext_mnt", "unix_sk_ino", "manage_cgroups", "manage_cgroups_mode",
    # written out in rpc/request_options.c
    "cg_root", "cpu_cap", "empty_ns", "inherit_fd", "join_ns", "network_lock", "pre_dump_mode",
    "ext_sharing", "ext_masters",
}
# Options that no request can give (spec/rpc.md 3), and those that are fields above by another name.
OPTIONS_ONLY = {
    "allow-uprobes", "file-validation", "ghost-fiemap", "libdir", "stream", "action-script", "deprecated",
    "all", "checksum", "close", "config", "no-default-config", "explain", "experimental", "extra", "feature", "help", "json",
    "log-pid", "ms", "version", "daemon", "pidfile", "restore-detached", "exec-cmd", "tree", "images-dir",
    "work-dir", "log-file", "verbosity", "address", "port", "page-server", "ps-socket",
    "veth-pair", "ext-mount-map", "enable-external-sharing", "enable-external-masters", "inherit-fd",
    "cgroup-root", "cpu-cap", "empty-ns", "join-ns", "manage-cgroups", "network-lock", "pre-dump-mode",
}
# Setters of libcriu whose field has another name.
SETTERS = {"parent_images": "parent_img", "ext_mount": "ext_mnt", "veth_pair": "veths", "unix_sk": "unix_sk_ino",
           "irmap_path": "irmap_scan_paths", "cg_props": "cgroup_props", "cg_props_file": "cgroup_props_file",
           "cg_dump_controller": "cgroup_dump_controller", "cg_yard": "cgroup_yard", "notify_cb": "notify_scripts",
           "page_server_address_port": "ps", "join_ns_add": "join_ns"}
# Fields without one in the reference, too (spec/libcriu.md 3.2).
NO_SETTER = {"images_dir", "leave_stopped", "display_stats", "log_to_stderr", "lazy_pages", "status_fd",
             "rst_sibling", "tls", "tls_cacert", "tls_cacrl", "tls_cert", "tls_key", "tls_no_cn_verify"}


def option_table():
    """name: field of the request or None"""
    text = (ROOT / "src/cli/option_table.c").read_text()
    rows = re.split(r'\n\t\{"', text)[1:]
    return {row.split('"', 1)[0]: (re.search(r'\.rpc = "(\w+)"', row) or [None, None])[1] for row in rows}


def fields():
    pb = pytest.importorskip("fermata.proto.rpc_pb2")
    return {f.name for f in pb.criu_opts.DESCRIPTOR.fields}


def test_requests_and_options():
    """PROVES: F378"""
    table, known = option_table(), fields()
    mapped = {field for field in table.values() if field}
    assert mapped <= known
    assert known - mapped == FIELDS_ONLY & known and mapped & FIELDS_ONLY == set()
    assert {name for name, field in table.items() if not field} == OPTIONS_ONLY & set(table)
    assert not {name for name, field in table.items() if field} & OPTIONS_ONLY


def test_library():
    """PROVES: F378"""
    header = (ROOT / "include/criu/criu.h").read_text()
    local = set(re.findall(r"\bcriu_local_(?:set_|add_)?(\w+)\(", header))
    setters = {SETTERS.get(name, name) for name in local}
    missing = fields() - setters - NO_SETTER
    assert not missing, f"no setter for {sorted(missing)}"


def test_manual():
    """Every option that --help lists is in the manual, and the other way round.
    PROVES: F362"""
    manual = Path(FERMATA).parent / "docs" / "fermata.8"
    if not manual.exists():
        pytest.skip("the manual was not built (no scdoc)")
    text = manual.read_text().replace("\\-", "-").replace("\\fR", " ").replace("\\fB", " ")
    section = text[text.index("OPTIONS"):text.index("CONFIGURATION FILES")]
    table = set(option_table())
    in_manual = {name if name in table else name.removeprefix("no-")
                 for name in re.findall(r"--([a-z][a-z-]+)", section)}
    listed = subprocess.run([FERMATA, "--help"], capture_output=True, text=True, check=True).stdout
    in_help = set(re.findall(r"--(?:\[no-\])?([a-z][a-z-]+)", listed))
    assert in_help - table == set(), "help of what there is not"
    assert table - in_manual == set() and in_manual - table == set()
