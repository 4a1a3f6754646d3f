/*
 * Everything behind file descriptors, mapped files and directories of a tree: its dump.
 *
 * Collecting and storing only read and remember; file_dump_finish() writes the images, fetches
 * contents (ghosts, pipes, memfds) from the tasks, which must still be stopped, and makes the
 * links of --link-remap.  What cannot be dumped goes to block(), once per open file.
 */
#ifndef FERMATA_FILE_DUMP_H
#define FERMATA_FILE_DUMP_H

#include "engine/program.h"
#include "kernel/proc_maps.h"
#include "task/task.h"

struct file_dump; /* one per dump */

/* dry: only find blockers and sum up sizes; nothing is written, finish() does nothing. */
int file_dump_begin(struct session *s, struct tree *tree, bool dry, struct file_dump **ret);

/*
 * What can be read of any task at any time: its descriptors, where its executable and directories
 * are. Touches nothing but t: fit for share_out(). Comes first.
 */
int file_dump_read(struct session *s, struct task *t);

/*
 * Appends the steps that must run inside (F_GETFD), and takes their results. A table shared with
 * the parent (equal ids->files_id) is skipped.  Touch nothing but t and p: fit for any lane.
 */
void file_dump_collect(struct task *t, struct program *p);
int file_dump_take(struct task *t, const struct program *p);

/*
 * After that, or without it if the run is dry: takes and classifies the descriptors; fills t->fs.
 * Parents before children.
 */
int file_dump_store(struct file_dump *d, struct task *t);

/* After the last task, before the verdict: what only shows when all tables are known. */
int file_dump_check(struct file_dump *d);

/*
 * A mapped file or the executable, by its link below /proc/PID: "map_files/7f00-7f10", "exe".
 * Gives its id in files.img and its FD_TYPES__REG or FD_TYPES__MEMFD. If it cannot be dumped, a
 * blocker is recorded and the id is 0.
 */
int file_dump_path(struct file_dump *d, struct task *t, const char *proc_link, uint32_t *ret_id,
	uint32_t *ret_type);

/*
 * The same for a mapping as /proc/PID/maps shows it; files mapped before are not opened again.
 */
struct mapping_kind {
	bool device;	/* its memory is that of a character device, other than those of mem(4) */
	bool protected; /* chattr(1) has made it append-only or immutable */
};
int file_dump_mapping(struct file_dump *d, struct task *t, const struct vma_info *vma,
	uint32_t *ret_id, uint32_t *ret_type, struct mapping_kind *ret_kind);
/* The id of an entry for what a plugin will map, which has no more than a name. */
uint32_t file_dump_plugin_mapping(struct file_dump *d, const char *name, uint32_t flags);

/* The number of a pages image of shared memory (pagemap-shmem-N) that no memfd may get. */
void file_dump_reserve_shmid(struct file_dump *d, uint32_t id);

/* Bytes that contents will take in the image directory, as far as known before finish(). */
uint64_t file_dump_predicted(const struct file_dump *d);

/*
 * After the verdict, before pending signals are read for the last time: what waits in terminals,
 * which may still make some.
 */
int file_dump_terminals(struct file_dump *d);

int file_dump_finish(struct file_dump *d);

/* The dump failed or leaves the tasks alive: TCP connections go on. Before any task runs. */
void file_dump_resume(struct file_dump *d);

/* The tasks are dead, and with them their TCP connections, in silence. */
void file_dump_done(struct file_dump *d);

/* A failed dump, or one that leaves the tree running: removes the links made for --link-remap. */
void file_dump_undo(struct file_dump *d);

#endif
