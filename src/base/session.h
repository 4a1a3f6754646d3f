/*
 * One run of the tool: what was asked, where things go, and what went wrong.
 *
 * Every function that can fail takes the session first and returns 0 (or a useful non-negative
 * number) or a negative errno.  The place that knows most records the failure once with fail();
 * callers pass the code on, may add context with fail_context(), and never print.
 */
#ifndef FERMATA_BASE_SESSION_H
#define FERMATA_BASE_SESSION_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/arena.h"

struct options;   /* cli/options.h */
struct image_dir; /* image/dir.h */
struct notifier;  /* cli/hook.h */
struct plugins;   /* plugin/ */
struct checksums; /* image/checksum_early.c */
struct progress;  /* base/progress.h */
struct helper;	  /* base/share.h */

/* Where in the sources something was said. */
struct place_in_source {
	const char *file;
	int line;
	bool plain; /* of a failure: its text says all, without strerror() */
};
#define HERE ((struct place_in_source){__FILE__, __LINE__, false})

/* The root cause of a failed run. The first fail() wins; later ones only go to the debug log. */
struct failure {
	int err;             /* positive errno, 0 = none yet */
	const char *message; /* names the object: "pid 77 fd 3: ..." */
	const char *remedy;  /* option or action that helps, or NULL */
	struct place_in_source where;
};

/* Something in the tree that a dump cannot take; all of them are collected before giving up. */
struct blocker {
	pid_t pid;
	const char *message; /* object and reason, without "pid N" */
	const char *remedy;  /* "use --link-remap", or NULL when nothing helps yet */
	struct place_in_source where;
};

enum log_level {
	LOG_MESSAGE = 0, /* stdout, always */
	LOG_ERROR = 1,
	LOG_WARN = 2,
	LOG_INFO = 3,
	LOG_DEBUG = 4,
};

#define ERROR_IN_COLOUR "\033[1;31mError:\033[0m"

struct log {
	int fd;    /* where lines go; stderr until log_open() */
	int level; /* lines above it are dropped */
	bool no_messages; /* stdout is for a program: drop lines of LOG_MESSAGE */
	bool colour;	  /* where lines go is a terminal, and may show kinds of lines by it */
	bool places;	  /* "Error (src/file/fs.c:70): ", as the reference; else "Error: " */
	struct timespec start;
};

/* Figures for stats-dump and stats-restore; times in microseconds, counts in pages. */
struct run_stats {
	uint32_t freezing_us, frozen_us, memdump_us, memwrite_us;
	uint64_t pages_scanned, pages_skipped_parent, pages_written, pages_lazy;
	uint64_t shpages_scanned, shpages_skipped_parent, shpages_written;
	uint64_t pages_compared, pages_skipped_cow, pages_restored;
	uint32_t forking_us, restore_us;
};

/* What a look at a tree found, besides blockers. */
struct preflight {
	size_t n_tasks, n_threads; /* 0: there was none */
	uint64_t predicted_bytes;
	const char *command; /* that would dump it; NULL: none would */
};

struct session {
	struct arena arena;
	struct log log;
	struct failure failure;
	struct failure postponed; /* found while reading images, to be told if they are sound */
	VEC(struct blocker) blockers;
	const struct options *opt;
	struct image_dir *images;
	bool images_only; /* are to be checked: nothing of this machine is looked at */
	struct run_stats stats;
	struct preflight preflight;
	struct progress *progress; /* how far it is, for who watches; NULL = nobody */
	struct plugins *plugins; /* NULL: not loaded, or not to be asked */
	struct checksums *checksums; /* of the images that are written; NULL: none are wanted */
	struct notifier *notifier; /* a client that is told of each stage; NULL = none */
	uint64_t client_socket;	   /* inode of our end of the connection to one; 0 = none */
	pid_t root_pid;		   /* of the tree, as the host sees it; 0 = not known yet */
	bool comforts;		   /* called by our own name: colour, progress */
	int exit_status;	   /* of a failed run, where it is not 1 */
	struct helper *helper;	   /* the second thread; NULL = none yet, or not for this one */
	bool is_lane;		   /* one of two threads' copy: base/share.h */
	const void *cpu; /* what the architecture learnt about this processor; arch/ only */
	unsigned long *fault_step; /* base/fault.h; NULL = none */
	char run_id[37]; /* random UUID of this run */
};

void session_init(struct session *s);
void session_release(struct session *s);

/*
 * Records the failure and returns -err. err may be given positive or negative; 0 counts as EIO.
 * The text says what was attempted on which object; strerror(err) is appended when it is printed.
 */
#define fail(s, err, ...) fail_remedy((s), (err), NULL, __VA_ARGS__)

/* Same, with what the user can do about it. */
#define fail_remedy(s, err, remedy, ...)                                                          \
	fail_from((s), (struct place_in_source){__FILE__, __LINE__, FAILURE_IS_OURS(err)}, (err), \
		(remedy), __VA_ARGS__)
/* EINVAL or ESRCH that no call of the kernel gave: for programs; a user is told nothing by them. */
#define FAILURE_IS_OURS(err) (__builtin_constant_p(err) && ((err) == EINVAL || (err) == ESRCH))
int fail_from(struct session *s, struct place_in_source where, int err, const char *remedy,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Puts "context: " before the recorded message. Returns err unchanged. */
int fail_context(struct session *s, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * While images are read: damage (-EBADMSG) is told first, so that it is the same for all who read
 * them.  Any other failure r, of this machine or this version, is kept and 0 returned; the first of
 * those is what recall() makes the failure.
 */
int postpone(struct session *s, int r);
int recall(struct session *s);

/* Adds a blocker. remedy may be NULL. */
#define block(s, pid, remedy, ...) block_from((s), HERE, (pid), (remedy), __VA_ARGS__)
void block_from(struct session *s, struct place_in_source where, pid_t pid, const char *remedy,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* errno is never changed by these. A trailing newline is added. */
#define log_line(s, level, ...) log_line_at((s), HERE, (level), __VA_ARGS__)
void log_line_at(struct session *s, struct place_in_source where, enum log_level level,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define log_warn(s, ...)  log_line((s), LOG_WARN, __VA_ARGS__)
#define log_info(s, ...)  log_line((s), LOG_INFO, __VA_ARGS__)
#define log_debug(s, ...) log_line((s), LOG_DEBUG, __VA_ARGS__)

/* "Error: " or "Error (FILE:LINE): ", without colour. Returns its length, less than room. */
int log_error_prefix(const struct session *s, struct place_in_source where, char *out, size_t room);

bool log_wants(const struct session *s, enum log_level level);

/* Microseconds on CLOCK_MONOTONIC. */
uint64_t now_us(void);

#endif
