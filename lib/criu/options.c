/*
 * Option sets and their setters.
 *
 * Each setter exists for a given set and for the one of the process; VALUE, FLAG and TEXT write
 * both for fields that are just stored, BOTH the second of those that are not.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

criu_opts *criu_global_opts;
const char *criu_lib_version = CRIU_VERSION;

void criu_free_service(criu_opts *opts)
{
	free(opts->service_address);
	free(opts->service_binary);
	opts->service_address = opts->service_binary = NULL;
}

void criu_local_free_opts(criu_opts *opts)
{
	if (!opts)
		return;
	criu_free_service(opts);
	if (opts->rpc)
		criu_opts__free_unpacked(opts->rpc, NULL);
	free(opts);
}

void criu_free_opts(void)
{
	criu_local_free_opts(criu_global_opts);
	criu_global_opts = NULL;
}

int criu_local_init_opts(criu_opts **opts)
{
	criu_local_free_opts(*opts);
	*opts = calloc(1, sizeof(**opts));
	if (*opts)
		(*opts)->rpc = calloc(1, sizeof(CriuOpts));
	if (!*opts || !(*opts)->rpc) {
		criu_local_free_opts(*opts);
		*opts = NULL;
		return -1;
	}
	criu_opts__init((*opts)->rpc);
	(*opts)->service_comm = CRIU_COMM_BIN;
	(*opts)->service_fd = -1;
	return 0;
}

int criu_init_opts(void)
{
	return criu_local_init_opts(&criu_global_opts);
}

/* What replace() and append_*() store belongs to the options; gcc's analyzer loses it. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* *to becomes a copy of text, which may be NULL. */
static int replace(char **to, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

/* Room for one more pointer at the end of a list of the message; the new one is NULL. */
static void **extend(void *list, size_t *n)
{
	void ***array = list;
	void **grown = realloc(*array, (*n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	*array = grown;
	grown[*n] = NULL;
	return &grown[(*n)++];
}

static int append_text(char ***list, size_t *n, const char *text)
{
	char *copy = strdup(text);
	void **place = copy ? extend(list, n) : NULL;
	if (!place) {
		free(copy);
		return -ENOMEM;
	}
	*place = copy;
	return 0;
}

/* A new message at the end of a list; init is its initialiser. */
#define append_message(list, n, type, init) \
	((type *)append_message_of((list), (n), sizeof(type), (void (*)(void *))(init)))

static void *append_message_of(void *list, size_t *n, size_t size, void (*init)(void *))
{
	void *m = malloc(size);
	void **place = m ? extend(list, n) : NULL;
	if (!place) {
		free(m);
		return NULL;
	}
	init(m);
	*place = m;
	return m;
}

#define BOTH_VOID(name, argument, use)                    \
	void criu_##name(argument)                        \
	{                                                 \
		criu_local_##name(criu_global_opts, use); \
	}
#define BOTH(name, arguments, ...)                                       \
	int criu_##name arguments                                        \
	{                                                                \
		return criu_local_##name(criu_global_opts, __VA_ARGS__); \
	}
#define VALUE(field, type)                                       \
	void criu_local_set_##field(criu_opts *opts, type value) \
	{                                                        \
		opts->rpc->has_##field = true;                   \
		opts->rpc->field = value;                        \
	}                                                        \
	BOTH_VOID(set_##field, type value, value)
#define FLAG(field) VALUE(field, bool)
#define TEXT(name, field)                                            \
	int criu_local_set_##name(criu_opts *opts, const char *text) \
	{                                                            \
		return replace(&opts->rpc->field, text);             \
	}                                                            \
	BOTH(set_##name, (const char *text), text)
#define TEXT_LIST(name, field)                                                      \
	int criu_local_##name(criu_opts *opts, const char *text)                    \
	{                                                                           \
		return append_text(&opts->rpc->field, &opts->rpc->n_##field, text); \
	}

VALUE(pid, int)
VALUE(work_dir_fd, int)
VALUE(log_level, int)
VALUE(cpu_cap, unsigned int)
VALUE(timeout, unsigned int)
VALUE(ghost_limit, unsigned int)
VALUE(pidfd_store_sk, int)
FLAG(leave_running)
FLAG(ext_unix_sk)
FLAG(tcp_established)
FLAG(tcp_skip_in_flight)
FLAG(tcp_close)
FLAG(weak_sysctls)
FLAG(evasive_devices)
FLAG(shell_job)
FLAG(skip_file_rwx_check)
FLAG(unprivileged)
FLAG(orphan_pts_master)
FLAG(file_locks)
FLAG(track_mem)
FLAG(auto_dedup)
FLAG(force_irmap)
FLAG(link_remap)
FLAG(manage_cgroups)
FLAG(auto_ext_mnt)
FLAG(ext_sharing)
FLAG(ext_masters)
FLAG(mntns_compat_mode)
TEXT(parent_images, parent_img)
TEXT(log_file, log_file)
TEXT(root, root)
TEXT(freeze_cgroup, freeze_cgroup)
TEXT(lsm_profile, lsm_profile)
TEXT(lsm_mount_context, lsm_mount_context)
TEXT(config_file, config_file)
TEXT_LIST(add_enable_fs, enable_fs)
BOTH(add_enable_fs, (const char *text), text)
TEXT_LIST(add_skip_mnt, skip_mnt)
BOTH(add_skip_mnt, (const char *text), text)
TEXT_LIST(add_external, external)
BOTH(add_external, (const char *text), text)
TEXT_LIST(add_cg_dump_controller, cgroup_dump_controller)

void criu_local_set_images_dir_fd(criu_opts *opts, int fd)
{
	opts->rpc->images_dir_fd = fd;
}
BOTH_VOID(set_images_dir_fd, int fd, fd)

void criu_local_set_manage_cgroups_mode(criu_opts *opts, enum criu_cg_mode mode)
{
	opts->rpc->has_manage_cgroups_mode = true;
	opts->rpc->manage_cgroups_mode = (CriuCgMode)mode;
}
BOTH_VOID(set_manage_cgroups_mode, enum criu_cg_mode mode, mode)

void criu_local_set_empty_ns(criu_opts *opts, int namespaces)
{
	opts->rpc->has_empty_ns = true;
	opts->rpc->empty_ns = (unsigned int)namespaces;
}
BOTH_VOID(set_empty_ns, int namespaces, namespaces)

void criu_local_set_notify_cb(criu_opts *opts, int (*cb)(char *action, criu_notify_arg_t na))
{
	opts->notify = cb;
	opts->rpc->has_notify_scripts = true;
	opts->rpc->notify_scripts = true;
}

void criu_set_notify_cb(int (*cb)(char *action, criu_notify_arg_t na))
{
	criu_local_set_notify_cb(criu_global_opts, cb);
}

int criu_local_set_service_address(criu_opts *opts, const char *path)
{
	opts->service_comm = CRIU_COMM_SK;
	return replace(&opts->service_address, path);
}
BOTH(set_service_address, (const char *path), path)

void criu_local_set_service_fd(criu_opts *opts, int fd)
{
	opts->service_comm = CRIU_COMM_FD;
	opts->service_fd = fd;
}
BOTH_VOID(set_service_fd, int fd, fd)

int criu_local_set_service_binary(criu_opts *opts, const char *path)
{
	opts->service_comm = CRIU_COMM_BIN;
	return replace(&opts->service_binary, path);
}
BOTH(set_service_binary, (const char *path), path)

/* Naming a socket allows such sockets, unless that was forbidden outright. */
int criu_local_add_unix_sk(criu_opts *opts, unsigned int inode)
{
	CriuOpts *rpc = opts->rpc;
	if (rpc->has_ext_unix_sk && !rpc->ext_unix_sk)
		return -1;
	UnixSk *m = append_message(&rpc->unix_sk_ino, &rpc->n_unix_sk_ino, UnixSk, unix_sk__init);
	if (!m)
		return -ENOMEM;
	m->inode = inode;
	criu_local_set_ext_unix_sk(opts, true);
	return 0;
}
BOTH(add_unix_sk, (unsigned int inode), inode)

int criu_local_set_exec_cmd(criu_opts *opts, int argc, char *argv[])
{
	for (int i = 0; i < argc; i++)
		if (append_text(&opts->rpc->exec_cmd, &opts->rpc->n_exec_cmd, argv[i]) < 0)
			return -ENOMEM;
	return 0;
}
BOTH(set_exec_cmd, (int argc, char *argv[]), argc, argv)

int criu_local_add_ext_mount(criu_opts *opts, const char *key, const char *val)
{
	ExtMountMap *m = append_message(
		&opts->rpc->ext_mnt, &opts->rpc->n_ext_mnt, ExtMountMap, ext_mount_map__init);
	return m && replace(&m->key, key) == 0 && replace(&m->val, val) == 0 ? 0 : -ENOMEM;
}
BOTH(add_ext_mount, (const char *key, const char *val), key, val)

int criu_local_add_veth_pair(criu_opts *opts, const char *in, const char *out)
{
	CriuVethPair *m = append_message(
		&opts->rpc->veths, &opts->rpc->n_veths, CriuVethPair, criu_veth_pair__init);
	return m && replace(&m->if_in, in) == 0 && replace(&m->if_out, out) == 0 ? 0 : -ENOMEM;
}
BOTH(add_veth_pair, (const char *in, const char *out), in, out)

int criu_local_add_cg_root(criu_opts *opts, const char *ctrl, const char *path)
{
	CgroupRoot *m = append_message(
		&opts->rpc->cg_root, &opts->rpc->n_cg_root, CgroupRoot, cgroup_root__init);
	return m && replace(&m->ctrl, ctrl) == 0 && replace(&m->path, path) == 0 ? 0 : -ENOMEM;
}
BOTH(add_cg_root, (const char *ctrl, const char *path), ctrl, path)

int criu_local_add_irmap_path(criu_opts *opts, const char *path)
{
	if (!opts)
		return -1;
	return append_text(&opts->rpc->irmap_scan_paths, &opts->rpc->n_irmap_scan_paths, path);
}
BOTH(add_irmap_path, (const char *path), path)

int criu_local_add_inherit_fd(criu_opts *opts, int fd, const char *key)
{
	if (opts->service_comm != CRIU_COMM_BIN)
		return -1;
	InheritFd *m = append_message(
		&opts->rpc->inherit_fd, &opts->rpc->n_inherit_fd, InheritFd, inherit_fd__init);
	if (!m || replace(&m->key, key) < 0)
		return -ENOMEM;
	m->fd = fd;
	return 0;
}
BOTH(add_inherit_fd, (int fd, const char *key), fd, key)

int criu_local_set_page_server_address_port(criu_opts *opts, const char *address, int port)
{
	if (!opts->rpc->ps) {
		opts->rpc->ps = malloc(sizeof(CriuPageServerInfo));
		if (!opts->rpc->ps)
			return -ENOMEM;
		criu_page_server_info__init(opts->rpc->ps);
	}
	opts->rpc->ps->has_port = true;
	opts->rpc->ps->port = port;
	return replace(&opts->rpc->ps->address, address);
}
BOTH(set_page_server_address_port, (const char *address, int port), address, port)

int criu_local_set_pre_dump_mode(criu_opts *opts, enum criu_pre_dump_mode mode)
{
	if (mode != CRIU_PRE_DUMP_SPLICE && mode != CRIU_PRE_DUMP_READ)
		return -1;
	opts->rpc->has_pre_dump_mode = true;
	opts->rpc->pre_dump_mode = (CriuPreDumpMode)mode;
	return 0;
}
BOTH(set_pre_dump_mode, (enum criu_pre_dump_mode mode), mode)

int criu_local_set_network_lock(criu_opts *opts, enum criu_network_lock_method method)
{
	if (method < CRIU_NETWORK_LOCK_IPTABLES || method > CRIU_NETWORK_LOCK_SKIP)
		return -1;
	opts->rpc->has_network_lock = true;
	opts->rpc->network_lock = (CriuNetworkLockMethod)method;
	return 0;
}
BOTH(set_network_lock, (enum criu_network_lock_method method), method)

int criu_local_join_ns_add(
	criu_opts *opts, const char *ns, const char *ns_file, const char *extra_opt)
{
	if (!ns || !ns_file)
		return -1;
	JoinNamespace *m = append_message(
		&opts->rpc->join_ns, &opts->rpc->n_join_ns, JoinNamespace, join_namespace__init);
	return m && replace(&m->ns, ns) == 0 && replace(&m->ns_file, ns_file) == 0 &&
			       replace(&m->extra_opt, extra_opt) == 0
		       ? 0
		       : -1;
}
BOTH(join_ns_add, (const char *ns, const char *ns_file, const char *extra_opt), ns, ns_file,
	extra_opt)

int criu_local_add_cg_props(criu_opts *opts, const char *stream)
{
	return replace(&opts->rpc->cgroup_props, stream);
}

int criu_local_add_cg_props_file(criu_opts *opts, const char *path)
{
	return replace(&opts->rpc->cgroup_props_file, path);
}

int criu_local_add_cg_yard(criu_opts *opts, const char *path)
{
	return replace(&opts->rpc->cgroup_yard, path);
}
