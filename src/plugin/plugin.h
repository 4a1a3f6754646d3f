/*
 * Plugins, as the rest of the tool sees them: what they are asked, and when (spec/plugins.md).
 *
 * Without a directory of plugins s->plugins has none, and every question costs one look.  Questions
 * are asked by the thread that runs the pipelines only: plugins know nothing of others.
 */
#ifndef FERMATA_PLUGIN_PLUGIN_H
#define FERMATA_PLUGIN_PLUGIN_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/session.h"
#include "criu/criu-plugin.h"
#include "inventory.pb-c.h"

/*
 * Before anything is begun: where there are plugins, and this program is linked statically, it becomes
 * another one that can load them, with the same arguments.
 */
void plugins_change_program(const struct options *o, char **argv);

/*
 * Loads and starts all. Restore: inventory says which ones the images need, and it is an error if
 * one of them is not there.
 */
int plugins_start(struct session *s, int stage, const InventoryEntry *inventory);
/* ret: of the whole run. */
void plugins_finish(struct session *s, int ret);

/* Dump: the names that go into the inventory. */
void plugins_store(const struct session *s, PluginsEntry *e);

/* Is there any that knows this hook? */
bool plugins_have(const struct session *s, int hook);
/* May plugins run at all? Where images are only looked at, nothing is missing without them. */
bool plugins_may_run(const struct session *s);

/*
 * A question; 0 or what the plugin says, -ENOTSUP if none knows.  Nothing is recorded as a failure.
 */
int plugin_dump_unix_sk(struct session *s, int fd, uint32_t ino);
int plugin_restore_unix_sk(struct session *s, uint32_t ino);
int plugin_dump_ext_file(struct session *s, int fd, uint32_t id);
int plugin_restore_ext_file(struct session *s, uint32_t id, bool *ret_retry);
int plugin_handle_device_vma(struct session *s, int fd, const struct stat *st);
/* *new_pgoff and *plugin_fd hold what is used if nobody knows better. */
int plugin_update_vma_map(struct session *s, const char *path, uint64_t addr, uint64_t old_pgoff,
	uint64_t *new_pgoff, int *plugin_fd);

/*
 * The hooks that tell of a stage. about: the PID, where the hook takes one.  Nobody has to know
 * them; a failure is recorded.
 */
int plugins_tell(struct session *s, int hook, int about);

#endif
