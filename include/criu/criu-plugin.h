/*
 * Plugins: shared objects that help to dump and restore what the tool does not know.
 *
 * A plugin exports one CR_PLUGIN_DESC, made by CR_PLUGIN_REGISTER(), and any hooks:
 *
 *	static int dump_file(int fd, int id) { ... }
 *	CR_PLUGIN_REGISTER("my-plugin", my_init, my_exit)
 *	CR_PLUGIN_REGISTER_HOOK(CR_PLUGIN_HOOK__DUMP_EXT_FILE, dump_file)
 *
 * A hook that returns -ENOTSUP passes the call on to the next plugin; any other value is the
 * answer.
 */
#ifndef CRIU_PLUGIN_H
#define CRIU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CRIU_PLUGIN_GEN_VERSION(major, minor, sublevel) \
	(((major) << 16) + ((minor) << 8) + (sublevel))
#define CRIU_PLUGIN_VERSION_MAJOR    0
#define CRIU_PLUGIN_VERSION_MINOR    2
#define CRIU_PLUGIN_VERSION_SUBLEVEL 0
#define CRIU_PLUGIN_VERSION_OLD	     CRIU_PLUGIN_GEN_VERSION(0, 1, 0)
#define CRIU_PLUGIN_VERSION                                                           \
	CRIU_PLUGIN_GEN_VERSION(CRIU_PLUGIN_VERSION_MAJOR, CRIU_PLUGIN_VERSION_MINOR, \
		CRIU_PLUGIN_VERSION_SUBLEVEL)

enum {
	CR_PLUGIN_STAGE__DUMP = 0,
	CR_PLUGIN_STAGE__PRE_DUMP = 1,
	CR_PLUGIN_STAGE__RESTORE = 2,
	CR_PLUGIN_STAGE_MAX
};

enum {
	CR_PLUGIN_HOOK__DUMP_UNIX_SK = 0,
	CR_PLUGIN_HOOK__RESTORE_UNIX_SK = 1,
	CR_PLUGIN_HOOK__DUMP_EXT_FILE = 2,
	CR_PLUGIN_HOOK__RESTORE_EXT_FILE = 3,
	CR_PLUGIN_HOOK__DUMP_EXT_MOUNT = 4,
	CR_PLUGIN_HOOK__RESTORE_EXT_MOUNT = 5,
	CR_PLUGIN_HOOK__DUMP_EXT_LINK = 6,
	CR_PLUGIN_HOOK__HANDLE_DEVICE_VMA = 7,
	CR_PLUGIN_HOOK__UPDATE_VMA_MAP = 8,
	CR_PLUGIN_HOOK__RESUME_DEVICES_LATE = 9,
	CR_PLUGIN_HOOK__PAUSE_DEVICES = 10,
	CR_PLUGIN_HOOK__CHECKPOINT_DEVICES = 11,
	CR_PLUGIN_HOOK__POST_FORKING = 12,
	CR_PLUGIN_HOOK__RESTORE_INIT = 13,
	CR_PLUGIN_HOOK__DUMP_DEVICES_LATE = 14,
	CR_PLUGIN_HOOK__MAX
};

/* id: inode of the socket. Dump: 0 if the plugin will connect it again; restore: a descriptor. */
typedef int(CR_PLUGIN_HOOK__DUMP_UNIX_SK_t)(int fd, int id);
typedef int(CR_PLUGIN_HOOK__RESTORE_UNIX_SK_t)(int id);
/* id: of the file in the images. Restore: a descriptor; *retry_needed: not ready, ask again. */
typedef int(CR_PLUGIN_HOOK__DUMP_EXT_FILE_t)(int fd, int id);
typedef int(CR_PLUGIN_HOOK__RESTORE_EXT_FILE_t)(int id, bool *retry_needed);
typedef int(CR_PLUGIN_HOOK__DUMP_EXT_MOUNT_t)(char *mountpoint, int id);
typedef int(CR_PLUGIN_HOOK__RESTORE_EXT_MOUNT_t)(
	int id, char *mountpoint, char *old_root, int *is_file);
typedef int(CR_PLUGIN_HOOK__DUMP_EXT_LINK_t)(int index, int type, char *kind);
/* fd is only for the file's path (O_PATH). Dump: >= 0 if the mapping is the plugin's. */
typedef int(CR_PLUGIN_HOOK__HANDLE_DEVICE_VMA_t)(int fd, const struct stat *st);
/* 1: use *new_pgoff; *plugin_fd, if not negative, is mapped instead of path. */
typedef int(CR_PLUGIN_HOOK__UPDATE_VMA_MAP_t)(const char *path, const uint64_t addr,
	const uint64_t old_pgoff, uint64_t *new_pgoff, int *plugin_fd);
typedef int(CR_PLUGIN_HOOK__RESUME_DEVICES_LATE_t)(int pid);
typedef int(CR_PLUGIN_HOOK__PAUSE_DEVICES_t)(int pid);
typedef int(CR_PLUGIN_HOOK__CHECKPOINT_DEVICES_t)(int pid);
typedef int(CR_PLUGIN_HOOK__POST_FORKING_t)(void);
typedef int(CR_PLUGIN_HOOK__RESTORE_INIT_t)(void);
typedef int(CR_PLUGIN_HOOK__DUMP_DEVICES_LATE_t)(int id);

typedef struct {
	const char *name;
	int (*init)(int stage);
	void (*exit)(int stage, int ret); /* ret: of the whole dump or restore */
	unsigned int version;
	unsigned int max_hooks;
	void *hooks[CR_PLUGIN_HOOK__MAX];
} cr_plugin_desc_t;

extern cr_plugin_desc_t CR_PLUGIN_DESC;

#define CR_PLUGIN_REGISTER(plugin_name, plugin_init, plugin_exit) \
	cr_plugin_desc_t CR_PLUGIN_DESC = {                       \
		.name = plugin_name,                              \
		.init = plugin_init,                              \
		.exit = plugin_exit,                              \
		.version = CRIU_PLUGIN_VERSION,                   \
		.max_hooks = CR_PLUGIN_HOOK__MAX,                 \
	};

static inline int cr_plugin_dummy_init(int stage)
{
	(void)stage;
	return 0;
}

static inline void cr_plugin_dummy_exit(int stage, int ret)
{
	(void)stage;
	(void)ret;
}

#define CR_PLUGIN_REGISTER_DUMMY(plugin_name) \
	CR_PLUGIN_REGISTER(plugin_name, cr_plugin_dummy_init, cr_plugin_dummy_exit)

/* The compiler checks the function against the hook's type. */
#define CR_PLUGIN_REGISTER_HOOK(hook, func)                                      \
	static void __attribute__((constructor)) cr_plugin_register_##func(void) \
	{                                                                        \
		hook##_t *checked = func;                                        \
		CR_PLUGIN_DESC.hooks[hook] = (void *)checked;                    \
	}

/* --- what the tool offers --- */

/* The directory of images: a descriptor, not to be closed. */
int criu_get_image_dir(void);
/* Dump: the restore shall need the plugin of this name. 0 or -1. */
int add_inventory_plugin(const char *name);
/* Restore: whether it does, by the first n characters; asks once for each. */
bool check_and_remove_inventory_plugin(const char *name, size_t n);
/* A line of the log. 0: on stdout, 1: error, 2: warning, 3: information, 4: debugging. */
void print_on_level(unsigned int level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- plugins of before version 0.2: functions of these names instead of CR_PLUGIN_DESC --- */

typedef int(cr_plugin_init_t)(int stage);
typedef void(cr_plugin_fini_t)(int stage, int ret);
typedef int(cr_plugin_dump_unix_sk_t)(int fd, int id);
typedef int(cr_plugin_restore_unix_sk_t)(int id);
typedef int(cr_plugin_dump_file_t)(int fd, int id);
typedef int(cr_plugin_restore_file_t)(int id);
typedef int(cr_plugin_dump_ext_mount_t)(char *mountpoint, int id);
typedef int(cr_plugin_restore_ext_mount_t)(int id, char *mountpoint, char *old_root, int *is_file);
typedef int(cr_plugin_dump_ext_link_t)(int index, int type, char *kind);
typedef int(cr_plugin_handle_device_vma_t)(int fd, const struct stat *stat);
typedef int(cr_plugin_update_vma_map_t)(const char *path, const uint64_t addr,
	const uint64_t old_pgoff, uint64_t *new_pgoff, int *plugin_fd);
typedef int(cr_plugin_resume_devices_late_t)(int pid);

#ifdef __cplusplus
}
#endif

#endif
