/* What the types of src/file share while dumping. Internal to src/file. */
#ifndef FERMATA_FILE_DUMPING_H
#define FERMATA_FILE_DUMPING_H

#include <stdbool.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/session.h"
#include "cli/options.h"
#include "fermata.pb-c.h"
#include "file/dump.h"
#include "base/id_map.h"
#include "file/type.h"
#include "image/codec.h"
#include "kernel/kcmp.h"
#include "kernel/mountinfo.h"
#include "kernel/proc_fdinfo.h"

/* An inode that some open file has; what is found out about it is found out once. */
struct inode_info {
	struct inode_info *next; /* another one of the same hash */
	uint64_t dev, ino;
	const char *checked_path; /* known to lead to it; NULL = none */
	uint64_t posix_asked_of; /* mount by which it was asked for POSIX locks, + 1: file_lock.c */
	bool may_have_posix;	 /* locks */
	bool leased;		 /* for writing, by a descriptor of the tree */
	bool owner_kept;	 /* of a pipe: by the record of some end */
	bool build_id_read;
	uint32_t *build_id; /* NULL: has none */
	size_t n_build_id;
	struct ghost_dump *ghost;	  /* ghost.c */
	struct link_dump *link;		  /* link_remap.c */
	MemfdInodeEntry *memfd;		  /* memfd.c */
	VEC(struct dumped_file *) files;  /* that paths may refer to: see path_cache */
	VEC(struct dumped_file *) sorted; /* the descriptors among them by kcmp(2): epoll.c */
	size_t n_sorted;		  /* files.n when that was made */
};

/* Where an open file can be had again from a stopped task: below /proc/PID. */
struct file_source {
	struct task *task;
	const char *link;  /* "map_files/..", "exe", "cwd"; NULL: a descriptor */
	int number;	   /* which one, -1: none */
	const char *label; /* "fd 7: a file in its queue": one that task, a stand-in for the
			      controller, has only for the dump; NULL: the number says it */
};

/* An open file under examination. */
struct file_view {
	struct file_source from;
	int fd; /* the controller's copy */
	struct statx st;
	uint64_t dev;
	long fs_type;	/* a magic of statfs(2) */
	uint32_t flags; /* of the open file, without O_CLOEXEC */
	int64_t pos;
	int family; /* of sockets: SO_DOMAIN; else 0 */
	const struct inet_listed *listed; /* socket/inet.h: what a list tells of it; NULL: none */
	int signum; /* F_GETSIG */
	struct f_owner_ex owner;
	bool path_only;	  /* a mapping, an executable, a directory: has no flags, position, owner */
	const char *link; /* as readlink of /proc/self/fd gives it */
	struct inode_info *inode;
	const struct file_type *type;	 /* NULL: not known yet */
	struct proc_fdinfo fdinfo;	 /* of the copy */
	bool has_fdinfo;		 /* false: the file is for its path only */
	struct description *description; /* NULL: not looked for yet */
	const struct file_identity *identity; /* NULL: not known */
	const struct file_view *like;	      /* has the same path; NULL: nobody knows */
	bool stays;			 /* until view_read_later() has had its way */
	bool taken;			 /* by view_take(): not to be closed */
};

/*
 * Where a thread looks at copies of descriptors, one after another under one number: an fdinfo
 * that stays open, and so the link in /proc/self/fd, tell each time of the file that has the number
 * then.
 */
struct desk {
	int fd, fdinfo, link; /* -1: not there yet */
	const struct file_view *last; /* NULL: none of those that still lie there */
};

#define DESK_NONE {-1, -1, -1, NULL}

/* An open file that got an entry in files.img, or a blocker. */
struct dumped_file {
	uint32_t id;
	FdTypes kind; /* FD_TYPES__UND: blocked */
	const struct file_type *type;
	void *detail;		 /* the message of the type */
	struct file_source from; /* where it was met first */
	const char *link;
	int mnt_id;
	struct inode_info *inode;
	const struct task *locks_read_by; /* file_lock.c: in the table that was read last */
	FermataFileEntry *extra;	  /* file_extras.c; NULL: nothing */
};

/* A mount that file handles are opened on: fsnotify.c. */
struct handle_mount {
	int mnt_id, fd;
};

/* Something to be done once all tasks are known, or to be written by file_dump_finish(). */
struct later {
	int (*act)(struct file_dump *d, void *object);
	void *object;
};

/* What another thread may ask a copy, on behalf of collect(): d is for that thread alone. */
typedef int view_reader(struct file_dump *d, struct file_view *v, struct dumped_file *f);

struct view_reading {
	view_reader *read;
	struct file_view *v;
	struct dumped_file *f;
};

struct file_dump {
	struct session *s;
	struct tree *tree;
	bool dry;
	uint32_t next_id, next_ghost;
	uint64_t predicted;
	const FownEntry *nobody; /* of files without an owner */
	struct id_map bpf_maps;
	struct id_map descriptions, identified; /* by key, by identity: description.c */
	struct id_map inodes, pipes, mounts, devices, mapped, shmids;
	struct lock_dump *locks; /* file_lock.c */
	bool mounts_read;
	mountinfo_vec mount_list;
	VEC(struct handle_mount) handle_mounts;
	void *unfound_marks; /* fsnotify.c: marked_vec, NULL: none */
	uint64_t shm_dev;		    /* of the kernel's own tmpfs; 0 = not asked yet */
	int proc_self_fd, proc_self_fdinfo; /* these directories, O_PATH */
	struct desk desks[2];		    /* of each thread */
	VEC(struct dumped_file *) files;
	VEC(RemapFilePathEntry *) remaps;
	VEC(MemfdInodeEntry *) memfds;
	VEC(struct link_dump *) links;
	struct brief_names *names; /* of the links; NULL: none were made */
	VEC(struct later) when_all, later;
	VEC(struct view_reading) readings;
	VEC(struct ring *) rings; /* io_uring.c */
	VEC(FermataTun *) tuns;	  /* tun.c: whose packets were read */
	struct image_writer pipes_data, fifo_data, sk_queues, bpf_data;
	struct unix_dump *unix_socks; /* socket/unix.h; NULL: none met */
	struct sock_memory *sock_memory; /* socket/sock_memory.h; NULL: not open */
	bool no_sock_memory;
	VEC(int) kept;		/* files that only queues hold, open for the time of the dump */
	int scratch[2];		/* a pipe to look into others with */
	struct ttys_dump *ttys; /* tty.c; NULL: no terminals */
	struct inet_dump *inet; /* socket/inet.h; NULL: no such sockets */
};

/* "fd 3: FORMAT" as a blocker of the file's holder. */
#define view_block(d, v, remedy, fmt, ...)                                              \
	block((d)->s, (v)->from.task->vpid, (remedy), "%s: " fmt, view_label((d), (v)), \
		##__VA_ARGS__)
const char *view_label(struct file_dump *d, const struct file_view *v);
/* What poll(2) says of it (sys_poll_now()). If it says nothing, that blocks the dump, and 0. */
int view_poll(struct file_dump *d, const struct file_view *v, short events);
const char *source_label(struct file_dump *d, const struct file_source *from);

/*
 * examine.c: reads what the kernel tells about v's fd, which is the controller's.  v has from, fd
 * and path_only; and link, dev and st if these are known.
 */
int file_examine(struct file_dump *d, struct file_view *v);
/* The same in two steps: nothing is known; the first may be done by another thread. */
int file_look(
	struct session *s, const struct file_dump *d, const struct desk *desk, struct file_view *v);
int desk_make(struct file_dump *d, struct desk *desk);
/*
 * Has it read by two threads, before the copy is closed; at once where v does not stay.  Only the
 * arena, blockers and failure of d->s may be written, and what is f's alone.
 */
int view_read_later(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, view_reader *read);
/* A copy for good: v's own where that stays. Or -1 with errno. */
int view_take(struct file_view *v);
/* Has all read that was put off. */
int views_read(struct file_dump *d);
int file_look_further(struct file_dump *d, struct file_view *v);
/* fdinfo of the controller's copy, as it was or is, and the failure for text that no kernel writes.
 */
int view_fdinfo(struct file_dump *d, const struct file_view *v, struct proc_fdinfo *ret);
int view_fdinfo_now(struct file_dump *d, const struct file_view *v, struct proc_fdinfo *ret);
int view_malformed(struct file_dump *d, const struct file_view *v);
struct inode_info *file_inode(struct file_dump *d, uint64_t dev, uint64_t ino);

/* dump.c: gives v an id, and collects it if it is new. */
int file_dump_view(struct file_dump *d, struct file_view *v, struct dumped_file **ret);
/* What the type knows to tell its files apart by, 0: nothing. */
uint64_t file_own_key(struct file_dump *d, struct file_view *v);
/* paths.c: the entry of a file of that inode, mount and path, if there is one. */
struct dumped_file *file_find_path(const struct file_view *v);
/* A new entry with the next id. */
struct dumped_file *file_dump_new(struct file_dump *d, FdTypes type);
/* Has done what takes the descriptors of all tasks: before the verdict, also in a dry dump. */
void file_dump_when_all(
	struct file_dump *d, int (*act)(struct file_dump *d, void *object), void *object);
/* Has the content fetched at the end; not in a dry dump. */
void file_dump_later(
	struct file_dump *d, int (*write)(struct file_dump *d, void *object), void *object);

/* tun.c: packets that were read wait again. The tasks live on. */
void tun_dump_resume(struct file_dump *d);

/* source.c: opens it anew (O_CLOEXEC, O_NONBLOCK are added), or takes the very file. */
int source_reopen(struct file_dump *d, const struct file_source *from, int flags);
int source_take(struct file_dump *d, const struct file_source *from);

/* fown.c: the owner of SIGIO, all zero if there is none. */
int fown_dump(struct file_dump *d, const struct file_view *v, FownEntry **ret);
/* A pid as the tree sees it, if it is one of the tree; otherwise as it is. */
pid_t file_tree_pid(const struct file_dump *d, pid_t pid);

/* ext_file.c: the file becomes an EXT entry if a plugin takes it; -ENOTSUP, unrecorded, if none
 * does. */
int ext_file_collect(struct file_dump *d, const struct file_view *v, struct dumped_file *f);

/* regular.c: a REG entry for any file with a path; used by other types for theirs. */
int regular_collect(struct file_dump *d, struct file_view *v, struct dumped_file *f);

/* reachable.c: how the path leads back to the file; adds a remap if it does not. */
int reachable_collect(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, const char **ret_name);

/* Fills d->mounts and d->mount_list, once. */
int mounts_read(struct file_dump *d);

/* regular.c: as --external calls it, "file[MNT:INO]"; NULL if it has no descriptor. */
const char *file_external_key(struct file_dump *d, const struct file_view *v);

/* ghost.c, link_remap.c */
int ghost_collect(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, const char *name);
int link_remap_collect(
	struct file_dump *d, struct file_view *v, struct dumped_file *f, const char *name);
int link_remap_make_all(struct file_dump *d);
void link_remap_undo(struct file_dump *d);
void link_remap_done(struct file_dump *d); /* they stay */
void remap_add(struct file_dump *d, uint32_t orig_id, RemapType type, uint32_t remap_id);

/* build_id.c */
int build_id_dump(struct file_dump *d, struct file_view *v, RegFileEntry *e);

#endif
