/*
 * Every option there is.  Order within a section is the order of the help text.
 *
 * `unbuilt` names the actions for which an option is refused because the engine behind it does
 * not exist yet.  Options that only permit something (--tcp-established) need no such refusal:
 * the dump itself still refuses what it cannot take.
 */
#include "cli/option_table.h"

#include <limits.h>

#define AT(field) .offset = offsetof(struct options, field)
#define D	  FOR(DUMP)
#define P	  FOR(PRE_DUMP)
#define R	  FOR(RESTORE)
#define C	  FOR(CHECK)
#define S	  FOR(PAGE_SERVER)
#define V	  FOR(SERVICE)
#define L	  FOR(LAZY_PAGES)
#define I	  (FOR(CPUINFO_DUMP) | FOR(CPUINFO_CHECK))

const char *const section_titles[N_SECTIONS] = {
	[SECTION_GENERIC] = "Generic",
	[SECTION_RESOURCES] = "Special resources",
	[SECTION_CGROUPS] = "Cgroups",
	[SECTION_CHECK] = "Check",
	[SECTION_LOG] = "Logging",
	[SECTION_MEMORY] = "Memory",
	[SECTION_SERVERS] = "Servers and encryption",
	[SECTION_CONFIG] = "Configuration files",
};

static const char *const file_validations[] = {"buildid", "filesize", NULL};
static const char *const pre_dump_modes[] = {"splice", "read", NULL};
static const char *const cgroup_modes[] = {
	"soft", "none", "props", "full", "strict", "ignore", NULL};

/* clang-format off: one option, two or three lines */
const struct option_def option_table[] = {
	/* generic */
	{"tree", 't', OPT_NUMBER, OPT_ONCE, SECTION_GENERIC, AT(tree), D | P | C, .min = 1, .max = INT_MAX,
		.arg = "PID", .help = "root of the process tree"},
	{"restore-detached", 'd', OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(detach),
		R | S | V | L, .help = "do not wait for the restored tasks"},
	{"daemon", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(detach), S | V | L,
		.help = "go to the background once ready to serve (same as -d)"},
	{"restore-sibling", 'S', OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(restore_sibling), R,
		.help = "make the restored root a child of our parent; needs -d",
		.rpc = "rst_sibling"},
	{"leave-stopped", 's', OPT_BOOL, 0, SECTION_GENERIC, AT(leave_stopped), D | R,
		.help = "leave the tasks stopped", .rpc = "leave_stopped"},
	{"leave-running", 'R', OPT_BOOL, 0, SECTION_GENERIC, AT(leave_running), D,
		.help = "let the tasks go on after the dump", .rpc = "leave_running"},
	{"images-dir", 'D', OPT_STRING, 0, SECTION_GENERIC, AT(images_dir), FOR_ALL, .arg = "DIR",
		.help = "directory of the images (default: the current one)"},
	{"work-dir", 'W', OPT_STRING, 0, SECTION_GENERIC, AT(work_dir), FOR_ALL, .arg = "DIR",
		.help = "directory of log, pidfile and statistics (default: the images directory)"},
	{"pidfile", 0, OPT_STRING, 0, SECTION_GENERIC, AT(pidfile), R | S | V | L, .arg = "FILE",
		.help = "write the PID of the restored root (or of the daemon); must not exist"},
	{"cpu-cap", 0, OPT_CUSTOM, OPT_OPTIONAL_ARG, SECTION_GENERIC, AT(cpu_cap), D | R | I,
		.set = set_cpu_cap, .arg = "CAPS",
		.help = "CPU features to require: fpu, cpu, ins, all, none, ^NAME (default "
			"fpu,ins)"},
	{"exec-cmd", 0, OPT_BOOL, 0, SECTION_GENERIC, AT(exec_cmd), R,
		.help = "after the restore, run the command given after --"},
	{"freeze-cgroup", 0, OPT_STRING, 0, SECTION_GENERIC, AT(freeze_cgroup), D | P, .unbuilt = D,
		.arg = "PATH", .help = "freeze the tasks through this cgroup",
		.rpc = "freeze_cgroup"},
	{"weak-sysctls", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(weak_sysctls), R,
		.help = "ignore sysctls that this kernel lacks", .rpc = "weak_sysctls"},
	{"lazy-pages", 0, OPT_BOOL, 0, SECTION_GENERIC, AT(lazy_pages), D | R | S | L,
		.unbuilt = D | R, .help = "bring memory in on demand", .rpc = "lazy_pages"},
	{"stream", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(stream), D | P | R | I,
		.unbuilt = D | R, .help = "send images through an image streamer"},
	{"mntns-compat-mode", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(mntns_compat), R,
		.help = "restore mounts the old way", .rpc = "mntns_compat_mode"},
	{"network-lock", 0, OPT_CUSTOM, 0, SECTION_GENERIC, AT(network_lock), D,
		.set = set_network_lock, .arg = "METHOD",
		.help = "how connections are held meanwhile: iptables, nftables or skip"},
	{"unprivileged", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(unprivileged), FOR_ALL,
		.help = "accept the limits of running without root", .rpc = "unprivileged"},
	{"allow-uprobes", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(allow_uprobes), D | R,
		.help = "allow a uprobes mapping"},
	{"checksum", 0, OPT_BOOL, OPT_OURS | OPT_NEGATABLE, SECTION_GENERIC, AT(checksum), D | R,
		.help = "add checksums to the images; restore checks them if they are there"},
	{"explain", 0, OPT_BOOL, OPT_OURS, SECTION_GENERIC, AT(explain), D | R,
		.help = "print what would be done, and what stands in the way; change nothing"},
	{"json", 0, OPT_BOOL, OPT_OURS, SECTION_GENERIC, AT(json), D | R | C,
		.help = "say on stdout how it ended, for programs"},
	{"help", 'h', OPT_BOOL, 0, SECTION_GENERIC, AT(help), FOR_ALL, .help = "this text"},
	{"version", 'V', OPT_BOOL, 0, SECTION_GENERIC, AT(version), FOR_ALL,
		.help = "interface version"},
	{"close", 0, OPT_CUSTOM, 0, SECTION_GENERIC, 0, FOR_ALL, .set = set_close, .arg = "FD",
		.help = "close this descriptor first"},
	{"deprecated", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_GENERIC, AT(deprecated), FOR_ALL,
		.help = "enable deprecated features"},

	/* special resources */
	{"external", 0, OPT_LIST, 0, SECTION_RESOURCES, AT(external), D | R, .arg = "RES",
		.help = "leave this resource out, or give its replacement: TYPE[ID]:VALUE",
		.rpc = "external"},
	{"inherit-fd", 0, OPT_CUSTOM, 0, SECTION_RESOURCES, AT(inherit_fd), R,
		.set = set_inherit_fd, .arg = "fd[N]:RES",
		.help = "use our descriptor N in place of this file, pipe or socket"},
	{"empty-ns", 0, OPT_CUSTOM, 0, SECTION_RESOURCES, AT(empty_ns), D | R, .unbuilt = D | R,
		.set = set_empty_ns, .arg = "net", .help = "create the namespace, leave it empty"},
	{"join-ns", 'J', OPT_CUSTOM, 0, SECTION_RESOURCES, AT(join_ns), R, .unbuilt = R,
		.set = set_join_ns, .arg = "NS:PID|FILE[,OPTS]",
		.help = "restore into this existing namespace"},
	{"tcp-established", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(tcp_established),
		D | R, .help = "take established TCP connections along", .rpc = "tcp_established"},
	{"skip-in-flight", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(skip_in_flight), D,
		.help = "drop half-open TCP connections, unread datagrams and inotify events",
		.rpc = "tcp_skip_in_flight"},
	{"tcp-close", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(tcp_close), D | R,
		.help = "restore TCP connections as closed", .rpc = "tcp_close"},
	{"root", 'r', OPT_STRING, 0, SECTION_RESOURCES, AT(root), R, .unbuilt = R, .arg = "PATH",
		.help = "new root of the mount namespace", .rpc = "root"},
	{"evasive-devices", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(evasive_devices), D,
		.help = "use any device node with the same numbers", .rpc = "evasive_devices"},
	{"link-remap", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(link_remap), D | R,
		.help = "link unlinked files back temporarily", .rpc = "link_remap"},
	{"ghost-limit", 0, OPT_SIZE, 0, SECTION_RESOURCES, AT(ghost_limit), D, .arg = "SIZE",
		.help = "largest unlinked file to put into the images (default 1M)",
		.rpc = "ghost_limit"},
	{"ghost-fiemap", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(ghost_fiemap), D,
		.help = "find the data of unlinked files by fiemap (default)"},
	{"action-script", 0, OPT_LIST, 0, SECTION_RESOURCES, AT(action_script),
		D | P | R | S | V | L, .arg = "FILE", .help = "run this at each stage"},
	{"shell-job", 'j', OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(shell_job), D | R,
		.help = "allow a tree started from a shell, and its terminal", .rpc = "shell_job"},
	{"file-locks", 'l', OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(file_locks), D | R,
		.help = "take file locks along", .rpc = "file_locks"},
	{"libdir", 'L', OPT_STRING, 0, SECTION_RESOURCES, AT(libdir), D | P | R, .arg = "DIR",
		.help = "directory of plugins"},
	{"timeout", 0, OPT_NUMBER, 0, SECTION_RESOURCES, AT(timeout), D | P, .max = INT_MAX,
		.arg = "SECONDS", .help = "limit for seizing the tasks (default 10, 0 = none)",
		.rpc = "timeout"},
	{"force-irmap", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES, AT(force_irmap), D | P,
		.help = "always look for inotify targets by scanning", .rpc = "force_irmap"},
	{"irmap-scan-path", 0, OPT_LIST, 0, SECTION_RESOURCES, AT(irmap_scan_path), D | P,
		.arg = "PATH", .help = "look here first for what inotify watches, if need be",
		.rpc = "irmap_scan_paths"},
	{"skip-mnt", 0, OPT_LIST, 0, SECTION_RESOURCES, AT(skip_mnt), D, .arg = "PATH",
		.help = "leave this mount out", .rpc = "skip_mnt"},
	{"enable-fs", 0, OPT_LIST, 0, SECTION_RESOURCES, AT(enable_fs), D, .arg = "NAMES",
		.help = "treat these filesystems as plainly mountable (all = every one)",
		.rpc = "enable_fs"},
	{"file-validation", 0, OPT_CHOICE, 0, SECTION_RESOURCES, AT(file_validation), D | R,
		.choices = file_validations, .arg = "MODE",
		.help = "how files are checked: buildid (default) or filesize"},
	{"skip-file-rwx-check", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_RESOURCES,
		AT(skip_file_rwx_check), R, .help = "do not compare the permissions of files",
		.rpc = "skip_file_rwx_check"},
	{"lsm-profile", 0, OPT_STRING, 0, SECTION_RESOURCES, AT(lsm_profile), R, .unbuilt = R,
		.arg = "TYPE:NAME", .help = "restore under this security profile",
		.rpc = "lsm_profile"},
	{"lsm-mount-context", 0, OPT_STRING, 0, SECTION_RESOURCES, AT(lsm_mount_context), R,
		.unbuilt = R, .arg = "CTX", .help = "replace the context of mounts",
		.rpc = "lsm_mount_context"},
	{"ext-unix-sk", 'x', OPT_CUSTOM, OPT_OPTIONAL_ARG | OPT_DEPRECATED, SECTION_RESOURCES,
		AT(ext_unix_sk), D | R, .set = set_ext_unix_sk, .arg = "INO[,INO...]",
		.help = "allow unix sockets whose peer is outside; same as --external unix[INO]",
		.rpc = "ext_unix_sk"},
	{"veth-pair", 0, OPT_CUSTOM, OPT_DEPRECATED, SECTION_RESOURCES, AT(external), R,
		.unbuilt = R, .set = set_veth_pair, .arg = "IN=OUT",
		.help = "same as --external veth[IN]:OUT"},
	{"ext-mount-map", 'M', OPT_CUSTOM, OPT_DEPRECATED, SECTION_RESOURCES, AT(external), D | R,
		.unbuilt = D | R, .set = set_ext_mount_map, .arg = "KEY:VALUE|auto",
		.help = "same as --external mnt[KEY]:VALUE, or mnt[]"},
	{"enable-external-sharing", 0, OPT_BOOL, OPT_DEPRECATED, SECTION_RESOURCES, AT(ext_sharing),
		D | R, .unbuilt = D | R, .help = "same as --external mnt[]:s"},
	{"enable-external-masters", 0, OPT_BOOL, OPT_DEPRECATED, SECTION_RESOURCES, AT(ext_masters),
		D | R, .unbuilt = D | R, .help = "same as --external mnt[]:m"},

	/* cgroups */
	{"manage-cgroups", 0, OPT_CHOICE, OPT_OPTIONAL_ARG, SECTION_CGROUPS, AT(manage_cgroups),
		D | R, .unbuilt = D | R, .choices = cgroup_modes, .arg = "MODE",
		.help = "soft (default), none, props, full, strict or ignore"},
	{"cgroup-root", 0, OPT_LIST, 0, SECTION_CGROUPS, AT(cgroup_root), D | R, .unbuilt = D | R,
		.arg = "[CTRL:]PATH", .help = "start of the cgroup tree, or its new place"},
	{"cgroup-props", 0, OPT_STRING, 0, SECTION_CGROUPS, AT(cgroup_props), D, .unbuilt = D,
		.arg = "STRING", .help = "which properties to save", .rpc = "cgroup_props"},
	{"cgroup-props-file", 0, OPT_STRING, 0, SECTION_CGROUPS, AT(cgroup_props_file), D,
		.unbuilt = D, .arg = "FILE", .help = "same, from a file",
		.rpc = "cgroup_props_file"},
	{"cgroup-dump-controller", 0, OPT_LIST, 0, SECTION_CGROUPS, AT(cgroup_dump_controller), D,
		.unbuilt = D, .arg = "NAME", .help = "save only this controller",
		.rpc = "cgroup_dump_controller"},
	{"cgroup-yard", 0, OPT_STRING, 0, SECTION_CGROUPS, AT(cgroup_yard), D | R, .arg = "PATH",
		.help = "directory where the hierarchies are mounted", .rpc = "cgroup_yard"},

	/* check */
	{"extra", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_CHECK, AT(check_extra), C,
		.help = "also test features that only some trees need"},
	{"experimental", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_CHECK, AT(check_experimental), C,
		.help = "also test experimental features"},
	{"all", 0, OPT_BOOL, 0, SECTION_CHECK, AT(check_all), C, .help = "test everything"},
	{"feature", 0, OPT_STRING, 0, SECTION_CHECK, AT(feature), C, .arg = "NAME",
		.help = "test only this feature"},

	/* logging */
	{"log-file", 'o', OPT_STRING, 0, SECTION_LOG, AT(log_file), FOR_ALL, .arg = "FILE",
		.help = "log there instead of stderr; - is stdout"},
	{"log-pid", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_LOG, AT(log_pid), R,
		.help = "one log per task (all steps are logged by one process here: no effect)"},
	{"verbosity", 'v', OPT_CUSTOM, OPT_OPTIONAL_ARG, SECTION_LOG, AT(verbosity), FOR_ALL,
		.set = set_verbosity, .arg = "NUM",
		.help = "0 nothing, 1 errors, 2 warnings (default), 3 info, 4 debug; -v adds one"},
	{"display-stats", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_LOG, AT(display_stats), D | P | R,
		.help = "print statistics at the end", .rpc = "display_stats"},

	/* memory */
	{"track-mem", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_MEMORY, AT(track_mem), D | P,
		.unbuilt = D, .help = "keep track of memory changes for the next dump",
		.rpc = "track_mem"},
	{"prev-images-dir", 0, OPT_STRING, 0, SECTION_MEMORY, AT(prev_images_dir), D | P | S,
		.unbuilt = D, .arg = "DIR", .help = "images of the previous iteration",
		.rpc = "parent_img"},
	{"page-server", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_MEMORY, AT(page_server), D | P | L,
		.unbuilt = D, .help = "send pages to a page server"},
	{"auto-dedup", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_MEMORY, AT(auto_dedup), D | S | R,
		.unbuilt = D | R, .help = "punch replaced or consumed pages out of the images",
		.rpc = "auto_dedup"},
	{"pre-dump-mode", 0, OPT_CHOICE, 0, SECTION_MEMORY, AT(pre_dump_mode), P,
		.choices = pre_dump_modes, .arg = "MODE", .help = "splice (default) or read"},

	/* servers */
	{"address", 0, OPT_STRING, 0, SECTION_SERVERS, AT(address), D | P | S | V | L,
		.arg = "ADDR", .help = "host, or path of the service socket"},
	{"port", 0, OPT_NUMBER, 0, SECTION_SERVERS, AT(port), D | P | S | L, .min = 1, .max = 65535,
		.arg = "PORT", .help = "TCP port"},
	{"ps-socket", 0, OPT_NUMBER, 0, SECTION_SERVERS, AT(ps_socket), D | P | S | L,
		.max = INT_MAX, .arg = "FD", .help = "use this connected socket"},
	{"status-fd", 0, OPT_NUMBER, 0, SECTION_SERVERS, AT(status_fd), D | S | V | L,
		.max = INT_MAX, .arg = "FD", .help = "write a zero byte there when ready",
		.rpc = "status_fd"},
	{"tls", 0, OPT_BOOL, OPT_NEGATABLE, SECTION_SERVERS, AT(tls), D | P | S | L,
		.unbuilt = FOR_ALL, .help = "encrypt the connection", .rpc = "tls"},
	{"tls-cacert", 0, OPT_STRING, 0, SECTION_SERVERS, AT(tls_cacert), D | P | S | L,
		.arg = "FILE", .help = "trusted certificates", .rpc = "tls_cacert"},
	{"tls-cacrl", 0, OPT_STRING, 0, SECTION_SERVERS, AT(tls_cacrl), D | P | S | L,
		.arg = "FILE", .help = "revoked certificates", .rpc = "tls_cacrl"},
	{"tls-cert", 0, OPT_STRING, 0, SECTION_SERVERS, AT(tls_cert), D | P | S | L, .arg = "FILE",
		.help = "our certificate", .rpc = "tls_cert"},
	{"tls-key", 0, OPT_STRING, 0, SECTION_SERVERS, AT(tls_key), D | P | S | L, .arg = "FILE",
		.help = "our key", .rpc = "tls_key"},
	{"tls-no-cn-verify", 0, OPT_BOOL, 0, SECTION_SERVERS, AT(tls_no_cn_verify), D | P | S | L,
		.help = "do not check the name in the certificate", .rpc = "tls_no_cn_verify"},

	/* configuration files */
	{"config", 0, OPT_STRING, 0, SECTION_CONFIG, AT(config), FOR_ALL, .arg = "FILE",
		.help = "read options from this file"},
	{"no-default-config", 0, OPT_BOOL, 0, SECTION_CONFIG, AT(no_default_config), FOR_ALL,
		.help = "read no default configuration files"},
	{"ms", 0, OPT_CUSTOM, OPT_NO_ARG | OPT_DEPRECATED, SECTION_CHECK, 0, C, .set = set_removed,
		.help = "removed"},
};
/* clang-format on */

const size_t n_options = sizeof(option_table) / sizeof(option_table[0]);

_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= MAX_OPTIONS,
	"struct options has room for this many");

bool option_takes_arg(const struct option_def *def)
{
	return def->kind != OPT_BOOL && !(def->flags & OPT_NO_ARG);
}
