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
#include "engine/stub.h"
#include "ipc.pb-c.h"
#include "kernel/proc_maps.h"
#include "mem.pb-c.h"
#include "task/task.h"

struct file_dump;

/*
 * All kinds, in the order of a dump and of a restore.
 *
 * ipc_collect()  all tasks are stopped: what of semaphores and queues is theirs
 * ipc_load()     the images, and whether what they hold can be had; before anything is forked
 * ipc_make()     makes what is gone; if the controller is killed from now on, that is removed
 * ipc_fill()     the root's stub sets what is the work of a process
 * ipc_keep()     the tree outlives the controller, or ipc_undo() was called
 * ipc_undo()     the restore failed: removes what ipc_make() made
 */
int ipc_collect(struct session *s, struct tree *tree);
/* Then what only a task itself can find out, if ipc_collect() said that it may_undo. */
struct visit;
int sem_undo_read(struct session *s, struct task *t, struct visit *v);
int ipc_write(struct session *s, struct tree *tree);
int ipc_load(struct session *s, struct tree *tree);
int ipc_make(struct session *s, struct tree *tree);
int ipc_fill(struct stubs *st, struct tree *tree);
void ipc_keep(struct tree *tree);
void ipc_undo(struct tree *tree);

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
/* Makes one with that id, if it is free, as the user who made it; returns its id, or -errno. */
int ipc_create(const char *kind, const IpcDescEntry *d, int (*get)(const void *object),
	const void *object);
/* Whether a pid is one of the tree, of those that images name. */
bool ipc_is_of_tree(const struct tree *tree, pid_t vpid);
uint32_t ipc_ns_of(const struct tree *tree);

/* Of a pid that an object remembers, as the controller sees it. */
enum ipc_user { IPC_NOBODY /* or dead */, IPC_TREE, IPC_OTHERS };
enum ipc_user ipc_user_of(const struct tree *tree, pid_t pid);

enum ipc_fate { IPC_KEEP, IPC_RESET, IPC_MAKE };

/* --- sem.c, msg.c --- */

int sem_collect(struct session *s, struct tree *tree);
int sem_write(struct session *s, struct tree *tree);
int sem_load(struct session *s, struct tree *tree);
int sem_make(struct session *s, struct tree *tree);
void sem_plan(struct tree *tree, struct program *p);
void sem_undo(struct tree *tree);

int msg_collect(struct session *s, struct tree *tree);
int msg_write(struct session *s, struct tree *tree);
int msg_load(struct session *s, struct tree *tree);
int msg_make(struct session *s, struct tree *tree);
void msg_plan(struct tree *tree, struct program *p);
void msg_undo(struct tree *tree);

#endif
