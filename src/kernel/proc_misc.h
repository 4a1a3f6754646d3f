/*
 * Small files of /proc/PID that hold one value each.
 *
 * All return 0 or a negative errno. -ENOENT (task gone, or a kernel built without the file) and
 * -ESRCH are not recorded.
 */
#ifndef FERMATA_KERNEL_PROC_MISC_H
#define FERMATA_KERNEL_PROC_MISC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct session;

int proc_personality(struct session *s, pid_t pid, uint32_t *ret);
int proc_oom_score_adj(struct session *s, pid_t pid, int *ret);
int proc_loginuid(struct session *s, pid_t pid, uint32_t *ret);        /* UINT32_MAX = unset */
int proc_coredump_filter(struct session *s, pid_t pid, uint32_t *ret); /* MMF_DUMP_* >> 2 */
int proc_timerslack_ns(struct session *s, pid_t pid, uint64_t *ret);
int proc_autogroup_nice(struct session *s, pid_t pid, int *ret); /* -ENOENT also when off */

/*
 * The saved auxiliary vector as 64-bit words, with its AT_NULL pair and what padding follows.
 * Without an mm (zombies, kernel threads) it is empty, or -ESRCH on newer kernels.  Of a 32-bit
 * task each word holds two of the task's.
 */
int proc_auxv(struct session *s, pid_t pid, uint64_t **ret_words, size_t *ret_n);

/* The text of such a file; negative numbers are sign-extended. */
enum proc_base { PROC_HEX, PROC_DECIMAL };
bool proc_number_parse(const char *text, size_t len, enum proc_base base, uint64_t *ret);
bool proc_autogroup_parse(const char *text, size_t len, int *ret);

/* Raw text, NUL-terminated, in the arena. */
int proc_cgroup(struct session *s, pid_t pid, char **ret);

/* Link targets; a deleted file shows as "... (deleted)". exe is -ENOENT for kernel threads. */
int proc_exe(struct session *s, pid_t pid, char **ret);
int proc_cwd(struct session *s, pid_t pid, char **ret);
int proc_root(struct session *s, pid_t pid, char **ret);

#endif
