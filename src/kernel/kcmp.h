/*
 * Which kernel objects of two tasks are the same one.
 *
 * kcmp(2) gives an order, hidden but stable while the kernel runs; where objects are sorted by it,
 * one is found among n with log n calls.  Tasks named in a tree must stay alive and stopped (their
 * tables unchanged) while it is in use.
 */
#ifndef FERMATA_KERNEL_KCMP_H
#define FERMATA_KERNEL_KCMP_H

#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

struct session;

/* 0 same object, -1 first sorts lower, 1 higher; below -1 a negative errno, recorded. */
int kcmp_files(struct session *s, pid_t pid1, int fd1, pid_t pid2, int fd2);
int kcmp_tasks(struct session *s, enum kcmp_type type, pid_t pid1, pid_t pid2);

/* The file behind pid's fd against the target toff of tfd in the epoll file efd of epoll_pid. */
int kcmp_epoll_target(struct session *s, pid_t pid, int fd, pid_t epoll_pid, uint32_t efd,
	uint32_t tfd, uint32_t toff);

struct kcmp_node {
	uint32_t id;
	pid_t pid;    /* where the object was first met */
	int fd;       /* likewise, for KCMP_FILE */
	void *object; /* the caller's; NULL at first */

	uint64_t hash;
};

struct kcmp_tree {
	enum kcmp_type type;
	uint32_t next_id;
	VEC(struct kcmp_node *) sorted;
};

#define KCMP_TREE(kind, first_id) ((struct kcmp_tree){.type = (kind), .next_id = (first_id)})

/* For KCMP_VM, FILES, FS, SIGHAND, IO, SYSVSEM. Same object, same node. 0 or a negative errno. */
int kcmp_tree_task(struct session *s, struct kcmp_tree *t, pid_t pid, struct kcmp_node **ret);

/*
 * For KCMP_FILE. key is anything that equal files have in common (a mix of device, inode, offset,
 * flags): only files of one key are compared by the kernel.
 */
int kcmp_tree_file(struct session *s, struct kcmp_tree *t, pid_t pid, int fd, uint64_t key,
	struct kcmp_node **ret);

#endif
