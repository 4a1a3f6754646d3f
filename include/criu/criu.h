/*
 * libcriu: the RPC client of a checkpoint tool, with the interface of CRIU's library of that name.
 *
 * Every criu_NAME() works on one option set of the process, every criu_local_NAME() on the set it
 * is given; criu_init_opts() or criu_local_init_opts() come first.  Strings are copied.  Setters
 * that can fail return 0 or a negative errno.  Nothing here is locked: one thread at a time.
 *
 * Actions return 0 or more on success.  Otherwise: -EBADE, the request failed (errno: ESRCH, no
 * such process; EEXIST, a PID is taken; EBADRQC, bad options; else 0); -ECONNREFUSED, the tool
 * cannot be reached; -ECOMM, the connection broke; -EBADMSG or -EINVAL, an answer that makes no
 * sense; or what the notify callback returned, if that was not 0.
 */
#ifndef __CRIU_LIB_H__
#define __CRIU_LIB_H__

#include <stdbool.h>
#include <stddef.h>

#include "rpc.pb-c.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CRIU_LOG_UNSET (-1)
#define CRIU_LOG_MSG   (0)
#define CRIU_LOG_ERROR (1)
#define CRIU_LOG_WARN  (2)
#define CRIU_LOG_INFO  (3)
#define CRIU_LOG_DEBUG (4)

/* How the tool is reached. */
enum criu_service_comm {
	CRIU_COMM_SK,  /* the socket of a service */
	CRIU_COMM_FD,  /* a connected socket */
	CRIU_COMM_BIN, /* a worker started for each action: the default */
};

enum criu_cg_mode {
	CRIU_CG_MODE_IGNORE,
	CRIU_CG_MODE_NONE,
	CRIU_CG_MODE_PROPS,
	CRIU_CG_MODE_SOFT,
	CRIU_CG_MODE_FULL,
	CRIU_CG_MODE_STRICT,
	CRIU_CG_MODE_DEFAULT,
};

enum criu_network_lock_method {
	CRIU_NETWORK_LOCK_IPTABLES = 1,
	CRIU_NETWORK_LOCK_NFTABLES = 2,
	CRIU_NETWORK_LOCK_SKIP = 3,
};

enum criu_pre_dump_mode {
	CRIU_PRE_DUMP_SPLICE = 1,
	CRIU_PRE_DUMP_READ = 2,
};

typedef struct criu_opts criu_opts;

/* What a notification says; ask with criu_notify_pid(). Valid during the callback. */
typedef CriuNotify *criu_notify_arg_t;
int criu_notify_pid(criu_notify_arg_t na);

/* The descriptor that came last with "orphan-pts-master", the caller's from then on; or -1. */
int criu_get_orphan_pts_master_fd(void);

/* Option sets. *opts must be NULL or a set, which is freed first. */
int criu_init_opts(void);
void criu_free_opts(void);
int criu_local_init_opts(criu_opts **opts);
void criu_local_free_opts(criu_opts *opts);

/* Transport. NULL: ./criu_service.socket, or the program criu from PATH. A fd is closed after use.
 */
int criu_set_service_address(const char *path);
void criu_set_service_fd(int fd);
int criu_set_service_binary(const char *path);
int criu_local_set_service_address(criu_opts *opts, const char *path);
void criu_local_set_service_fd(criu_opts *opts, int fd);
int criu_local_set_service_binary(criu_opts *opts, const char *path);

/* Called at each stage; anything but 0 makes the stage fail and ends the action with that value. */
void criu_set_notify_cb(int (*cb)(char *action, criu_notify_arg_t na));
void criu_local_set_notify_cb(criu_opts *opts, int (*cb)(char *action, criu_notify_arg_t na));

/* Options: the fields of criu_opts in rpc.proto. */
void criu_set_pid(int pid);
void criu_local_set_pid(criu_opts *opts, int pid);
void criu_set_images_dir_fd(int fd);
void criu_local_set_images_dir_fd(criu_opts *opts, int fd);
void criu_set_work_dir_fd(int fd);
void criu_local_set_work_dir_fd(criu_opts *opts, int fd);
void criu_set_log_level(int log_level);
void criu_local_set_log_level(criu_opts *opts, int log_level);
void criu_set_cpu_cap(unsigned int cap);
void criu_local_set_cpu_cap(criu_opts *opts, unsigned int cap);
void criu_set_timeout(unsigned int timeout);
void criu_local_set_timeout(criu_opts *opts, unsigned int timeout);
void criu_set_ghost_limit(unsigned int limit);
void criu_local_set_ghost_limit(criu_opts *opts, unsigned int limit);
void criu_set_pidfd_store_sk(int sk);
void criu_local_set_pidfd_store_sk(criu_opts *opts, int sk);
void criu_set_manage_cgroups_mode(enum criu_cg_mode mode);
void criu_local_set_manage_cgroups_mode(criu_opts *opts, enum criu_cg_mode mode);
void criu_set_leave_running(bool leave_running);
void criu_local_set_leave_running(criu_opts *opts, bool leave_running);
void criu_set_ext_unix_sk(bool ext_unix_sk);
void criu_local_set_ext_unix_sk(criu_opts *opts, bool ext_unix_sk);
void criu_set_tcp_established(bool tcp_established);
void criu_local_set_tcp_established(criu_opts *opts, bool tcp_established);
void criu_set_tcp_skip_in_flight(bool tcp_skip_in_flight);
void criu_local_set_tcp_skip_in_flight(criu_opts *opts, bool tcp_skip_in_flight);
void criu_set_tcp_close(bool tcp_close);
void criu_local_set_tcp_close(criu_opts *opts, bool tcp_close);
void criu_set_weak_sysctls(bool weak_sysctls);
void criu_local_set_weak_sysctls(criu_opts *opts, bool weak_sysctls);
void criu_set_evasive_devices(bool evasive_devices);
void criu_local_set_evasive_devices(criu_opts *opts, bool evasive_devices);
void criu_set_shell_job(bool shell_job);
void criu_local_set_shell_job(criu_opts *opts, bool shell_job);
void criu_set_skip_file_rwx_check(bool skip_file_rwx_check);
void criu_local_set_skip_file_rwx_check(criu_opts *opts, bool skip_file_rwx_check);
void criu_set_unprivileged(bool unprivileged);
void criu_local_set_unprivileged(criu_opts *opts, bool unprivileged);
void criu_set_orphan_pts_master(bool orphan_pts_master);
void criu_local_set_orphan_pts_master(criu_opts *opts, bool orphan_pts_master);
void criu_set_file_locks(bool file_locks);
void criu_local_set_file_locks(criu_opts *opts, bool file_locks);
void criu_set_track_mem(bool track_mem);
void criu_local_set_track_mem(criu_opts *opts, bool track_mem);
void criu_set_auto_dedup(bool auto_dedup);
void criu_local_set_auto_dedup(criu_opts *opts, bool auto_dedup);
void criu_set_force_irmap(bool force_irmap);
void criu_local_set_force_irmap(criu_opts *opts, bool force_irmap);
void criu_set_link_remap(bool link_remap);
void criu_local_set_link_remap(criu_opts *opts, bool link_remap);
void criu_set_manage_cgroups(bool manage_cgroups);
void criu_local_set_manage_cgroups(criu_opts *opts, bool manage_cgroups);
void criu_set_auto_ext_mnt(bool auto_ext_mnt);
void criu_local_set_auto_ext_mnt(criu_opts *opts, bool auto_ext_mnt);
void criu_set_ext_sharing(bool ext_sharing);
void criu_local_set_ext_sharing(criu_opts *opts, bool ext_sharing);
void criu_set_ext_masters(bool ext_masters);
void criu_local_set_ext_masters(criu_opts *opts, bool ext_masters);
void criu_set_mntns_compat_mode(bool mntns_compat_mode);
void criu_local_set_mntns_compat_mode(criu_opts *opts, bool mntns_compat_mode);
void criu_set_empty_ns(int namespaces);
void criu_local_set_empty_ns(criu_opts *opts, int namespaces);
int criu_set_parent_images(const char *parent_images);
int criu_local_set_parent_images(criu_opts *opts, const char *parent_images);
int criu_set_log_file(const char *log_file);
int criu_local_set_log_file(criu_opts *opts, const char *log_file);
int criu_set_root(const char *root);
int criu_local_set_root(criu_opts *opts, const char *root);
int criu_set_freeze_cgroup(const char *freeze_cgroup);
int criu_local_set_freeze_cgroup(criu_opts *opts, const char *freeze_cgroup);
int criu_set_lsm_profile(const char *lsm_profile);
int criu_local_set_lsm_profile(criu_opts *opts, const char *lsm_profile);
int criu_set_lsm_mount_context(const char *lsm_mount_context);
int criu_local_set_lsm_mount_context(criu_opts *opts, const char *lsm_mount_context);
int criu_set_config_file(const char *config_file);
int criu_local_set_config_file(criu_opts *opts, const char *config_file);
int criu_add_unix_sk(unsigned int inode);
int criu_local_add_unix_sk(criu_opts *opts, unsigned int inode);
int criu_set_exec_cmd(int argc, char *argv[]);
int criu_local_set_exec_cmd(criu_opts *opts, int argc, char *argv[]);
int criu_add_ext_mount(const char *key, const char *val);
int criu_local_add_ext_mount(criu_opts *opts, const char *key, const char *val);
int criu_add_veth_pair(const char *in, const char *out);
int criu_local_add_veth_pair(criu_opts *opts, const char *in, const char *out);
int criu_add_cg_root(const char *ctrl, const char *path);
int criu_local_add_cg_root(criu_opts *opts, const char *ctrl, const char *path);
int criu_add_enable_fs(const char *fs);
int criu_local_add_enable_fs(criu_opts *opts, const char *fs);
int criu_add_skip_mnt(const char *mnt);
int criu_local_add_skip_mnt(criu_opts *opts, const char *mnt);
int criu_add_irmap_path(const char *path);
int criu_local_add_irmap_path(criu_opts *opts, const char *path);
int criu_add_inherit_fd(int fd, const char *key);
int criu_local_add_inherit_fd(criu_opts *opts, int fd, const char *key);
int criu_add_external(const char *key);
int criu_local_add_external(criu_opts *opts, const char *key);
int criu_set_page_server_address_port(const char *address, int port);
int criu_local_set_page_server_address_port(criu_opts *opts, const char *address, int port);
int criu_set_pre_dump_mode(enum criu_pre_dump_mode mode);
int criu_local_set_pre_dump_mode(criu_opts *opts, enum criu_pre_dump_mode mode);
int criu_set_network_lock(enum criu_network_lock_method method);
int criu_local_set_network_lock(criu_opts *opts, enum criu_network_lock_method method);
int criu_join_ns_add(const char *ns, const char *ns_file, const char *extra_opt);
int criu_local_join_ns_add(
	criu_opts *opts, const char *ns, const char *ns_file, const char *extra_opt);
int criu_local_add_cg_props(criu_opts *opts, const char *stream);
int criu_local_add_cg_props_file(criu_opts *opts, const char *path);
int criu_local_add_cg_dump_controller(criu_opts *opts, const char *name);
int criu_local_add_cg_yard(criu_opts *opts, const char *path);

/* Actions. */
typedef void *criu_predump_info;

struct criu_feature_check {
	bool mem_track;
	bool lazy_pages;
	bool pidfd_store;
};

int criu_check(void);
int criu_dump(void);	      /* 1: this is the restored copy of a process that dumped itself */
int criu_restore(void);	      /* the PID of the root */
int criu_restore_child(void); /* the same, as a child of the caller */
int criu_pre_dump(void);
/* Dumps of memory as long as more() is positive, then a full dump; negative ends it with that. */
int criu_dump_iters(int (*more)(criu_predump_info pi));
int criu_get_version(void);	     /* 40200 is 4.2 */
int criu_check_version(int minimum); /* 1: at least that */
/* Members set are asked for, and left set if available. size: of the caller's struct. */
int criu_feature_check(struct criu_feature_check *features, size_t size);

int criu_local_check(criu_opts *opts);
int criu_local_dump(criu_opts *opts);
int criu_local_restore(criu_opts *opts);
int criu_local_restore_child(criu_opts *opts);
int criu_local_pre_dump(criu_opts *opts);
int criu_local_dump_iters(criu_opts *opts, int (*more)(criu_predump_info pi));
int criu_local_get_version(criu_opts *opts);
int criu_local_check_version(criu_opts *opts, int minimum);
int criu_local_feature_check(criu_opts *opts, struct criu_feature_check *features, size_t size);

#ifdef __cplusplus
}
#endif

#endif
