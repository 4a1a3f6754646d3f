/* What the types of src/file share while restoring. Internal to src/file. */
#ifndef FERMATA_FILE_RESTORING_H
#define FERMATA_FILE_RESTORING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/session.h"
#include "cli/options.h"
#include "fermata.pb-c.h"
#include "file.pb-c.h"
#include "file/external.h"
#include "base/id_map.h"
#include "file/restore.h"
#include "file/type.h"
#include "image/codec.h"

/* One descriptor of one table. */
struct fd_slot {
	uint32_t fd;
	bool close_on_exec;
	bool temporary; /* only for what install() does: closed after that */
	bool installs;	/* though temporary: only a queue has the file for good */
	bool made; /* of a file that is made_inside: it is there */
	struct open_file *file;
};

/* A descriptor table; task is the one that is given it, others share it. */
struct fd_table {
	struct task *task;
	VEC(struct fd_slot) slots; /* ascending */
	VEC(const FileLockEntry *) locks;
};

/* An entry of files.img. */
struct open_file {
	uint32_t id;
	const FileEntry *e;
	const struct file_type *type;
	const RegFileEntry *path;  /* of TUNF entries: of the REG one with the same id */
	const struct remap *remap; /* of REG entries: NULL, its path is its own */
	struct pipe_group *pipe;   /* pipe.c, fifo.c */
	uint32_t flags;		   /* of open(2), set by check() */
	const FownEntry *fown;	   /* NULL: has none */
	int inherited;		   /* descriptor of ours that takes its place; -1: none */
	bool late;		   /* opens only once threads and tables are there */
	bool made_inside;	   /* cannot be passed on: its type makes it in every table */
	unsigned uses_left;	   /* slots that do not have it yet */
	bool prepared;		   /* flags and signal are set */
	int fd;			   /* in the controller; -1: none */
	struct fd_table *holder;   /* of a task that has it already, at holder_fd */
	uint32_t holder_fd;

	void *state; /* the type's own */

	/* file_extras.c; NULL: nothing */
	const FermataFileEntry *extra;

	struct tty *tty; /* of TTY entries; see tty.h */
	bool of_tty;	 /* of REG entries: only names the path of a terminal */
};

/* How a file is reached whose path does not lead to it. */
struct remap {
	RemapType type;
	struct ghost *ghost; /* GHOST */
	const char *link;    /* LINKED: the path of the other link */
	pid_t pid;	     /* PROCFS */
};

/* A name that goes when the restore is over; ghost NULL: a directory made on the way to one. */
struct doomed {
	const char *path;
	const struct ghost *ghost;
};

/* One --inherit-fd. */
struct inherited {
	int fd;
	const char *key;
	bool used;
};

struct file_set {
	struct session *s;
	struct tree *tree;
	struct id_map files, ghosts, dead_processes, memfds, pipes, fifos, numbers;
	struct inet_restore *inet; /* socket/inet.h; NULL: no such sockets */
	VEC(struct open_file *) all;
	VEC(struct fd_table *) tables;
	VEC(struct ghost *) ghost_list;
	struct id_map bpf_maps; /* bpf_map.c */
	VEC(struct bpf_map *) bpf_map_list;
	VEC(struct memfd *) memfd_list;
	VEC(const char *) links; /* link remaps to remove when all went well */
	VEC(struct inherited) inherited;
	VEC(struct open_file *) rings; /* io_uring_restore.c */
	VEC(struct doomed) doomed; /* in order of making; see brief_names.c */
	struct brief_names *names; /* NULL: none were given */
	int root_fd;		   /* what paths of the image begin at */
	int pipes_data, fifo_data, bpf_data; /* the images, for contents; -1 */
	bool epoll_holders_known;  /* epoll_restore.c */
	unsigned n_kept;	   /* shared files that are open in the controller */
	struct tty_set *ttys;	   /* tty_restore.c; NULL: no terminals */

	/* from file_restore_tables() on */
	struct stubs *stubs;
	/* socket/unix.h; NULL: none in the images */
	struct unix_set *unix_socks;
};

struct open_file *file_find(const struct file_set *f, uint32_t id);

/* create.c: a descriptor of the open file itself, made now if need be; stays the set's. */
int file_get(struct file_set *f, struct open_file *o, int *ret_fd);
/* Closes the controller's copy of a file that a task has, too. */
void file_drop(struct file_set *f, struct open_file *o);
/* The slot of its file has it now: closes the controller's copy unless others may soon want it. */
void file_put(struct file_set *f, struct fd_table *holder, const struct fd_slot *slot);

/* A queue has it now (one use). If no task ever gets it, the controller's copy stays to the end. */
void file_passed(struct file_set *f, struct open_file *o);

/* explain.c: what the controller does to make the open file, told once. */
void file_explain(struct file_set *f, struct open_file *o);
/* Its path, or what it is: for --explain. */
const char *open_file_text(const struct file_set *f, const struct open_file *o);

/* "pid 7 fd 3" of some holder, or "file 12": for messages */
const char *open_file_label(const struct file_set *f, const struct open_file *o);

/* regular.c: opens a REG entry by its path or remap. */
int regular_open(struct file_set *f, struct open_file *o, uint32_t flags, int *ret_fd);
/* remap.c: as openat(2) from the root of the image's paths; -errno without a failure. */
int path_open(const struct file_set *f, const char *path, int flags);
int path_stat(const struct file_set *f, const char *path, int flags, struct stat *st);
const char *path_relative(const char *path);

/* regular.c: what the path leads to must be what was dumped. */
int regular_check(struct file_set *f, struct open_file *o);

/* remap.c */
int remap_load(struct file_set *f);
/* Links target to name for the moment of opening it there. */
int remap_open(struct file_set *f, const char *target, const char *name, int flags);
/* Makes the missing directories above path; they are removed by remap_remove_parents(). */
int remap_make_parents(struct file_set *f, const char *path, unsigned *ret_made);
void remap_remove_parents(struct file_set *f, const char *path, unsigned made);

/*
 * remap.c: call() of the set by brief_names_do(); what is in f->doomed is taken if we die before
 * ghost_remove_all().
 */
int file_names_do(struct file_set *f, int (*call)(void *file_set, void *arg), void *arg);

/* ghost_restore.c */
int ghost_load(struct file_set *f, uint32_t number, const struct open_file *o, struct ghost **ret);
int ghost_create_all(struct file_set *f);
const char *ghost_path(const struct ghost *g);
bool ghost_is_directory(const struct ghost *g);
void ghost_remove_all(struct file_set *f);
/* Of --explain: what it would remove. */
void ghost_explain_removal(const struct file_set *f);
/* ghost_extras.c: inode flags, when none will be opened or removed any more; or not any. */
int ghost_extras_finish(struct file_set *f);
void ghost_extras_release(struct file_set *f);
/* Takes the last of f->doomed. */
int ghost_take_last(struct file_set *f);
/* The ghost that had this inode (device as inside the kernel); NULL: none. */
struct ghost *ghost_of_inode(const struct file_set *f, uint32_t dev, uint64_t ino);
/* Open files of one name shall be one for what watches the inode: see fsnotify_restore.c. */
void ghost_will_be_watched(struct ghost *g);
/* As openat(2): the ghost, as the open file e had it. */
int ghost_open(struct file_set *f, struct ghost *g, const RegFileEntry *e, int flags);
/* The descriptor that made the ghost if e did, -1 otherwise. The caller owns it. */
int ghost_take_creator(struct ghost *g, const RegFileEntry *e);

/* memfd.c */
int memfd_load(struct file_set *f);
int memfd_open(struct file_set *f, struct open_file *o, int flags, int *ret_fd);
int memfd_seal_all(struct file_set *f);
void memfd_release(struct file_set *f);

/* tty_restore.c */
int tty_load(struct file_set *f);
/* Once the queues are loaded: who has which end. */
void tty_load_ends(struct file_set *f);
void tty_release(struct file_set *f);

/* pipe_data.c */
int pipe_data_load(struct file_set *f);

/* tun.c: a device that is not here yet and comes with a tun descriptor of the images */
bool tun_comes_as(const struct file_set *f, const char *name, unsigned index);
bool tun_brings(const struct file_set *f, int family, const void *address);
/* All of them, before what needs them. */
int tun_make_all(struct file_set *f);

/* io_uring_restore.c: when threads and tables are complete */
int io_uring_restore_all(struct file_set *f, struct stubs *st);

/* socket/packet_map.c: rings of packet sockets in all tasks, likewise */
int packet_map_all(struct file_set *f, struct stubs *st);

/* fown.c */
int fown_check(struct file_set *f, const struct open_file *o);
int fown_restore(struct file_set *f, const struct open_file *o, int fd);

/* fs.c */
int fs_load(struct file_set *f, struct task *t);

/* fd_load.c */
int fd_table_load(struct file_set *f, struct task *t);

#endif
