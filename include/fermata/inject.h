/*
 * libfermata-inject: makes a running process do things: system calls, and functions of your own.
 *
 *	struct fermata_inject *t = fermata_inject_new();
 *	int64_t result;
 *	if (fermata_inject_seize(t, pid) < 0 ||			// all its threads are stopped
 *		fermata_inject_call(t, SYS_getpid, NULL, &result) < 0)	// runs in it
 *		errx(1, "%s", fermata_inject_error(t));
 *	fermata_inject_cure(t);					// as if nothing had been
 *	fermata_inject_free(t);
 *
 * No code of the process is overwritten and no signal is lost. If the caller dies at any instant,
 * the process goes back to its own life by itself.
 *
 * Functions return 0 or something useful, or a negative errno; fermata_inject_error() then says what
 * was attempted.  A handle belongs to the thread that seized: ptrace(2) does not take others.  Needs
 * no more than the right to trace the process.  x86_64 processes only.
 */
#ifndef FERMATA_INJECT_H
#define FERMATA_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

struct fermata_inject;
struct fermata_program;
struct fermata_object;
struct user_regs_struct; /* <sys/user.h> */

/* --- a process --- */

/* NULL: no memory. */
struct fermata_inject *fermata_inject_new(void);
/* Cures the process first if need be. NULL is fine. */
void fermata_inject_free(struct fermata_inject *t);
/* What went wrong last; valid until the next call with t. "" if nothing did. */
const char *fermata_inject_error(const struct fermata_inject *t);

/* Stops all threads. One process at a time and handle. */
int fermata_inject_seize(struct fermata_inject *t, pid_t pid);
/* Takes everything out of the process, gives its registers back, and lets it go on. */
int fermata_inject_cure(struct fermata_inject *t);

/*
 * Brings the agent in, which plays what follows; calls do so themselves, with 1 MiB of room for
 * objects, their stack (64 KiB) and shared memory.  fermata_inject_leave() takes it out again, with
 * all that is in the room; the threads stay stopped.
 */
int fermata_inject_enter(struct fermata_inject *t, size_t room);
int fermata_inject_leave(struct fermata_inject *t);

/* Threads, the leader first. The array is the handle's. */
size_t fermata_inject_threads(const struct fermata_inject *t, const pid_t **ret_tids);

/*
 * The registers with which a thread goes on. Setting them takes the agent out; a system call
 * that was interrupted is not made again if the instruction pointer is another one then.
 */
int fermata_inject_get_registers(
	struct fermata_inject *t, pid_t tid, struct user_regs_struct *ret_registers);
int fermata_inject_set_registers(
	struct fermata_inject *t, pid_t tid, const struct user_regs_struct *registers);

/* Its memory, whatever the protection of pages. All len bytes or an error. */
int fermata_inject_read(struct fermata_inject *t, uint64_t address, void *buf, size_t len);
int fermata_inject_write(struct fermata_inject *t, uint64_t address, const void *buf, size_t len);

/* A duplicate of its descriptor, close-on-exec. */
int fermata_inject_take_fd(struct fermata_inject *t, int fd);
/*
 * Gives it a duplicate of ours and returns the number there, which is `at` if that is not negative;
 * what was open there is replaced.
 */
int fermata_inject_give_fd(struct fermata_inject *t, int fd, int at);

/* --- one system call --- */

/* Numbers and addresses in the process only. arg NULL: all 0. *ret_result is -errno if it failed.
 */
int fermata_inject_call(
	struct fermata_inject *t, long nr, const uint64_t arg[6], int64_t *ret_result);

/* --- programs: system calls with data, played in one go --- */

/* An argument; made by the functions below. */
struct fermata_arg {
	uint32_t kind, index;
	uint64_t value;
};

struct fermata_program *fermata_program_new(struct fermata_inject *t);
void fermata_program_free(struct fermata_program *p);

/* A number, or an address in the process. */
struct fermata_arg fermata_value(uint64_t value);
/* The result of an earlier step. */
struct fermata_arg fermata_result(int step);
/*
 * The address of len bytes that go to the process, come back, or both; data must stay until the
 * program was played.  All of a step's data must fit into about 500 KiB (a thread's: 12 KiB).
 */
struct fermata_arg fermata_in(struct fermata_program *p, const void *data, size_t len);
struct fermata_arg fermata_out(struct fermata_program *p, void *data, size_t len);
struct fermata_arg fermata_inout(struct fermata_program *p, void *data, size_t len);
/* The address `offset` bytes into such data. */
struct fermata_arg fermata_at(struct fermata_arg data, uint64_t offset);
/* Makes 8 bytes at offset of some data point to other data: msghdr.msg_iov, iovec.iov_base, ... */
void fermata_link(
	struct fermata_program *p, struct fermata_arg from, size_t offset, struct fermata_arg to);

/* Appends a system call and returns its number. */
int fermata_program_step(struct fermata_program *p, long nr, const struct fermata_arg arg[6]);
#define fermata_step(p, nr, ...) \
	fermata_program_step((p), (nr), (const struct fermata_arg[6]){__VA_ARGS__})
/* A step that returns -errno ends the program with that error, unless it may fail ... */
void fermata_program_may_fail(struct fermata_program *p, int step);
/* ... and so does one that returns anything but this, with -EIO. */
void fermata_program_expect(struct fermata_program *p, int step, int64_t result);

/* In the leader, or in any thread. Once. */
int fermata_program_play(struct fermata_program *p);
int fermata_program_play_on(struct fermata_program *p, pid_t tid);
int64_t fermata_program_result(const struct fermata_program *p, int step);

/* --- functions of your own --- */

/*
 * Maps an ELF shared object without undefined symbols (cc -shared -fPIC -nostdlib) and relocates
 * it. Constructors do not run.  The file's bytes may be freed afterwards. Its data lasts until the
 * agent leaves.
 */
int fermata_inject_load(
	struct fermata_inject *t, const void *elf, size_t len, struct fermata_object **ret_object);
/* Address in the process of an exported symbol, or 0. */
uint64_t fermata_object_symbol(const struct fermata_object *o, const char *name);
/* The same memory here: data of the object may be read and written through it. NULL: no such
 * symbol. */
void *fermata_object_data(const struct fermata_object *o, const char *name);

/* len bytes of memory for both sides, zeroed; *ret_address is its place there. NULL on failure. */
void *fermata_inject_share(struct fermata_inject *t, size_t len, uint64_t *ret_address);

/*
 * Calls int64_t function(uint64_t, uint64_t, uint64_t, uint64_t) in the leader, with signals
 * blocked. arg NULL: all 0.  If it crashes that is -EFAULT, and the handle is good for
 * fermata_inject_cure() only.
 */
int fermata_inject_run(
	struct fermata_inject *t, uint64_t function, const uint64_t arg[4], int64_t *ret_result);
/*
 * Calls meanwhile() here while the function runs there, to talk to it by shared memory; a negative
 * result of meanwhile() is returned when the function has.  That must end by itself if the caller
 * dies: see fermata_inject_caller().
 */
int fermata_inject_run_meanwhile(struct fermata_inject *t, uint64_t function, const uint64_t arg[4],
	int (*meanwhile)(void *data), void *data, int64_t *ret_result);
/* Address there of a 32-bit word; FUTEX_OWNER_DIED (0x40000000) is set in it when the caller is
 * dead. */
uint64_t fermata_inject_caller(struct fermata_inject *t);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
