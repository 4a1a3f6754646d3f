/*
 * System V IPC of the namespace that the tool and the tree share.
 *
 * Its objects belong to no process and outlive the tree.  A restore uses what is still there and
 * unchanged, makes again under the same id and key what is gone, and refuses what belongs to others
 * by now.
 */
#ifndef FERMATA_IPC_IPC_H
#define FERMATA_IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>

#include "base/session.h"
#include "engine/program.h"
#include "ipc.pb-c.h"
#include "kernel/proc_maps.h"
#include "mem.pb-c.h"
#include "task/task.h"

struct file_dump;

/* --- shm.c: shared memory segments that tasks have attached --- */

/* Whether a mapping looks like one. */
bool shm_is_segment(const struct vma_info *info);
/* Dump: for each mapping of one, with e->fdflags set. Blocks what cannot be dumped. */
int shm_collect(struct session *s, struct file_dump *files, struct task *t,
	const struct vma_info *info, VmaEntry *e);
/* After all mappings of t: attachments of which a part was unmapped are blocked. */
int shm_check_whole(struct session *s, const struct task *t);
int shm_write(struct session *s, struct tree *tree);

/* Restore: when the mappings of all tasks are loaded; refuses what cannot be done. */
int shm_load(struct session *s, struct tree *tree);
/* Makes and fills segments, before any task maps memory. */
int shm_make(struct session *s, struct tree *tree);
/* The step that attaches one, for its first piece; protections are for the caller. */
void shm_plan_attach(const struct task *t, const VmaEntry *e, struct program *p);
/* All tasks have attached it: removes and locks those that were. */
int shm_settle(struct session *s, struct tree *tree);
/* The restore failed: removes what it made. */
void shm_undo(struct tree *tree);

/* --- desc.c: what all three kinds have; internal to src/ipc --- */

void ipc_desc_fill(IpcDescEntry *e, const struct ipc_perm *perm, int id);
/* The same object as far as that can be told: key, owner, permissions. */
bool ipc_desc_same(const IpcDescEntry *e, const struct ipc_perm *perm);
/* The next object of this kind ("shm", "sem", "msg") shall have this id. -errno, no failure. */
int ipc_ask_for_id(const char *kind, uint32_t id);
/* Takes on the user and group who made it, for the call that makes it again, and back. */
int ipc_be_creator(const IpcDescEntry *e);
int ipc_be_ourselves(void);
/* Whether a pid is one of the tree, of those that images name. */
bool ipc_is_of_tree(const struct tree *tree, pid_t vpid);

#endif
