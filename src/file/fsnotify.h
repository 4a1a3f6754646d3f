/* What inotify and fanotify share: which file a mark is on. Internal to src/file. */
#ifndef FERMATA_FILE_FSNOTIFY_H
#define FERMATA_FILE_FSNOTIFY_H

#include "file/dumping.h"
#include "file/restoring.h"
#include "kernel/fdinfo_fsnotify.h"

/* Marked inode and what the images say of it; path and handle are the caller's message. */
struct marked {
	struct dumped_file *f; /* the instance: for messages */
	const char *what;      /* "an inotify watch" */
	uint64_t ino;
	uint32_t sdev;
	FhEntry *handle;
};

typedef VEC(const struct marked *) marked_vec;

dev_t fsnotify_device(uint32_t sdev);

/* The kernel's handle of a file. */
struct fsnotify_handle {
	uint32_t bytes;
	int type;
	char data[FSNOTIFY_HANDLE_MAX];
};

/*
 * One of two kinds, which fdinfo of different kernels show: 0 and 1. False: it has none, or is not
 * there.
 */
enum { FSNOTIFY_HANDLES = 2 };
bool fsnotify_handle_of(const char *path, int kind, struct fsnotify_handle *ret);
bool fsnotify_is_handle(const struct fsnotify_handle *h, const FhEntry *e);

/* fsnotify_scan.c: finds paths by looking everywhere; those that are not found have none. */
void fsnotify_scan(struct file_dump *d, const marked_vec *wanted);

/*
 * Dump: bytes of events that were not read, for which there is a blocker if there is a remedy: they
 * cannot be put back.
 */
int fsnotify_check_queue(
	struct file_dump *d, struct file_view *v, const char *what, const char *remedy);
/* Dump: the handle; its path, if it has one, is found when all descriptors are known. */
FhEntry *fsnotify_collect_mark(
	struct file_dump *d, struct dumped_file *f, const char *what, const struct fdinfo_mark *m);
/* Dump: the mounts of the tree. */
int fsnotify_mount_path(struct file_dump *d, uint64_t mnt_id, char **ret_path, uint32_t *ret_sdev);

/* Restore: is there anything to set the mark on? */
int fsnotify_check_mark(struct file_set *f, const struct open_file *o, uint64_t ino, uint32_t sdev,
	const FhEntry *h);
/* Restore: a descriptor of it, by O_PATH or not, that the caller closes. */
int fsnotify_open_mark(struct file_set *f, const struct open_file *o, uint64_t ino, uint32_t sdev,
	const FhEntry *h, int *ret_fd);
/* Restore: forgets events of the restore itself. */
void fsnotify_drain(struct file_set *f, struct open_file *o, int fd);

#endif
