/*
 * What the user asked for: plain data, filled by the parser from the one option table.
 *
 * Strings point into argv, a configuration file's text or the session's arena and stay valid for
 * the whole run.  Paths are as given: relative ones count from the work directory unless said
 * otherwise.  Defaults are those of spec/cli.md section 4, set by options_init().
 */
#ifndef FERMATA_CLI_OPTIONS_H
#define FERMATA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum action {
	ACTION_NONE,
	ACTION_DUMP,
	ACTION_PRE_DUMP,
	ACTION_RESTORE,
	ACTION_LAZY_PAGES,
	ACTION_CHECK,
	ACTION_PAGE_SERVER,
	ACTION_SERVICE,
	ACTION_SWRK,
	ACTION_DEDUP,
	ACTION_CPUINFO_DUMP,
	ACTION_CPUINFO_CHECK,
	N_ACTIONS,
};

/* How files are told apart at restore (--file-validation). */
enum file_validation { VALIDATE_BUILDID, VALIDATE_FILESIZE };

enum network_lock { NETLOCK_IPTABLES, NETLOCK_NFTABLES, NETLOCK_SKIP };

enum pre_dump_mode { PRE_DUMP_SPLICE, PRE_DUMP_READ };

/* --manage-cgroups; values are ours, not the image's. */
enum cgroup_mode {
	CGROUP_SOFT,
	CGROUP_NONE,
	CGROUP_PROPS,
	CGROUP_FULL,
	CGROUP_STRICT,
	CGROUP_IGNORE
};

/* --cpu-cap bits, as in spec/cli.md 4.10. */
enum { CPU_CAP_FPU = 1, CPU_CAP_CPU = 2, CPU_CAP_INS = 4, CPU_CAP_IMAGE = 8 };

/* A repeatable option: values in the order given. Grows with vec_push(). */
struct strings {
	const char **v;
	size_t n, cap;
};

enum { MAX_OPTIONS = 128 };

struct option_def; /* cli/option_table.h */

/* An option of the command line, as it was given. */
struct said_option {
	const struct option_def *def;
	const char *arg; /* NULL: none */
	bool negated;
};

struct options {
	enum action action;
	struct strings words;	 /* what follows the action: --exec-cmd, or swrk's descriptor */
	bool given[MAX_OPTIONS]; /* by table index; ask through option_given() */
	struct {
		struct said_option *v;
		size_t n, cap;
	} said; /* all of the command line, in order; not those of configuration files */

	/* which tasks, where */
	pid_t tree;		     /* -t: root of the tree, 0 = not given */
	const char *images_dir;	     /* -D, relative to the cwd at start; "." by default */
	const char *work_dir;	     /* -W, relative to the cwd at start; NULL = images_dir */
	const char *prev_images_dir; /* relative to images_dir */
	const char *pidfile;
	const char *freeze_cgroup;
	uint32_t timeout; /* seconds for seizing and collecting, 0 = no limit */

	/* what becomes of the tasks */
	bool leave_running, leave_stopped;
	bool detach; /* -d, --restore-detached, --daemon */
	bool restore_sibling;
	bool exec_cmd;
	bool shell_job;
	bool orphan_pts_master; /* asked for by a request only */
	bool explain; /* print what would be done, change nothing */
	bool json;    /* say how it ended as JSON on stdout */

	/* files */
	bool link_remap, ghost_fiemap, evasive_devices, skip_file_rwx_check, file_locks;
	uint64_t ghost_limit;	   /* bytes */
	int file_validation;	   /* enum file_validation */
	struct strings external;   /* -x, -M and --veth-pair end up here too */
	struct strings inherit_fd; /* "fd[N]:KEY" */
	bool ext_unix_sk;
	bool ext_sharing, ext_masters; /* --enable-external-* */
	bool force_irmap;
	struct strings irmap_scan_path;

	/* memory */
	bool track_mem, auto_dedup, lazy_pages, page_server, stream;
	int pre_dump_mode; /* enum pre_dump_mode */
	bool allow_uprobes;

	/* of dump: write them; of restore: look at them, which --no-checksum turns off */
	bool checksum;

	/* sockets */
	bool tcp_established, tcp_close, skip_in_flight;
	int network_lock; /* enum network_lock */

	/* namespaces and mounts */
	struct strings empty_ns, join_ns, skip_mnt, enable_fs;
	const char *root;
	bool mntns_compat, weak_sysctls;
	const char *lsm_profile, *lsm_mount_context;

	/* cgroups */
	int manage_cgroups; /* enum cgroup_mode */
	struct strings cgroup_root, cgroup_dump_controller;
	const char *cgroup_props, *cgroup_props_file, *cgroup_yard;

	/* hooks and plugins */
	struct strings action_script;
	const char *libdir; /* NULL: the one that was built in, if it is there */

	/* check */
	bool check_extra, check_experimental, check_all;
	const char *feature;

	/* servers */
	const char *address;
	uint32_t port;		      /* 0 = not given */
	int32_t ps_socket, status_fd; /* -1 = not given */
	bool tls, tls_no_cn_verify;
	const char *tls_cacert, *tls_cacrl, *tls_cert, *tls_key;

	/* log and the rest */
	const char *log_file; /* relative to the work dir, "-" = stdout, NULL = stderr */
	int32_t verbosity;    /* enum log_level */
	bool log_pid, display_stats;
	uint32_t cpu_cap;
	bool unprivileged, deprecated;
	bool help, version;
	const char *config;
	bool no_default_config;
};

/* The reference's defaults. */
void options_init(struct options *o);

/* Whether the long option was given on the command line or in a configuration file. */
bool option_given(const struct options *o, const char *name);

#endif
