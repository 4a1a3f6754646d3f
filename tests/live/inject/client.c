/*
 * client MODE PID [OBJECT ...]: uses every function of libfermata-inject on a victim.
 *   all PID OBJECT BAD-OBJECT ADDRESSES   calls N PID   hold PID OBJECT   serve PID OBJECT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include <fermata/inject.h>

static struct fermata_inject *t;

#define NEED(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #cond,                       \
				fermata_inject_error(t));                                          \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void *slurp(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "rb");
	NEED(f);
	void *bytes = malloc(1 << 20);
	*ret_len = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	return bytes;
}

static int load_file(const char *path, struct fermata_object **o)
{
	size_t len;
	void *bytes = slurp(path, &len);
	int r = fermata_inject_load(t, bytes, len, o);
	free(bytes);
	return r;
}

static int64_t run(const struct fermata_object *o, const char *name, uint64_t a, uint64_t b)
{
	const uint64_t arg[4] = {a, b, 3, 4};
	int64_t result = -1;
	NEED(fermata_object_symbol(o, name));
	NEED(fermata_inject_run(t, fermata_object_symbol(o, name), arg, &result) >= 0);
	return result;
}

static void test_calls(pid_t pid)
{
	int64_t result = 0;
	NEED(fermata_inject_call(t, SYS_getpid, NULL, &result) >= 0 && result == pid);
	const uint64_t bad_close[6] = {(uint64_t)-1};
	NEED(fermata_inject_call(t, SYS_close, bad_close, &result) >= 0 && result == -EBADF);
	for (int i = 0; i < 2000; i++) /* much more than fits one window */
		NEED(fermata_inject_call(t, SYS_getppid, NULL, &result) >= 0);
}

static void test_program(pid_t pid)
{
	char old[16] = "", now[16] = "", self[32];
	struct fermata_program *p = fermata_program_new(t);
	fermata_step(p, SYS_prctl, fermata_value(PR_GET_NAME), fermata_out(p, old, 16));
	fermata_step(p, SYS_prctl, fermata_value(PR_SET_NAME), fermata_in(p, "injected", 9));
	fermata_step(p, SYS_prctl, fermata_value(PR_GET_NAME), fermata_out(p, now, 16));
	fermata_step(p, SYS_prctl, fermata_value(PR_SET_NAME), fermata_in(p, old, 16));
	NEED(fermata_program_play(p) >= 0);
	NEED(!strcmp(now, "injected") && strcmp(old, now));
	NEED(fermata_program_play(p) == -EALREADY);
	fermata_program_free(p);

	/* the result of one step goes into the next; a file of the victim */
	p = fermata_program_new(t);
	int fd = fermata_step(p, SYS_openat, fermata_value((uint64_t)AT_FDCWD),
		fermata_in(p, "/proc/self/stat", 16), fermata_value(O_RDONLY));
	int got = fermata_step(
		p, SYS_read, fermata_result(fd), fermata_out(p, self, 32), fermata_value(32));
	fermata_program_expect(p, fermata_step(p, SYS_close, fermata_result(fd)), 0);
	NEED(fermata_program_play(p) >= 0 && fermata_program_result(p, got) == 32);
	NEED(atoi(self) == pid);
	fermata_program_free(p);

	/* failures name the call */
	p = fermata_program_new(t);
	int first = fermata_step(p, SYS_chdir, fermata_in(p, "/nowhere", 9));
	fermata_program_may_fail(p, first);
	fermata_step(p, SYS_openat, fermata_value((uint64_t)AT_FDCWD), fermata_in(p, "/nowhere", 9));
	NEED(fermata_program_play(p) == -ENOENT && strstr(fermata_inject_error(t), "openat"));
	NEED(fermata_program_result(p, first) == -ENOENT);
	fermata_program_free(p);
}

/* Blocks that point to blocks: writev() into a pipe that we hold too. */
static void test_links(void)
{
	int ends[2];
	char got[16] = "";
	struct iovec {
		uint64_t base, len;
	} iov[2] = {{0, 3}, {0, 4}};
	NEED(pipe(ends) == 0);
	int there = fermata_inject_give_fd(t, ends[1], -1);
	NEED(there >= 0);
	struct fermata_program *p = fermata_program_new(t);
	struct fermata_arg vec = fermata_in(p, iov, sizeof(iov));
	fermata_link(p, vec, 0, fermata_in(p, "one", 3));
	fermata_link(p, vec, 16, fermata_in(p, "more", 4));
	fermata_step(p, SYS_writev, fermata_value((uint64_t)there), vec, fermata_value(2));
	fermata_step(p, SYS_close, fermata_value((uint64_t)there));
	NEED(fermata_program_play(p) >= 0);
	fermata_program_free(p);
	NEED(read(ends[0], got, sizeof(got)) == 7 && !memcmp(got, "onemore", 7));
	close(ends[0]);
	close(ends[1]);
}

static void test_threads(pid_t pid)
{
	const pid_t *tids;
	size_t n = fermata_inject_threads(t, &tids);
	NEED(n == 3 && tids[0] == pid);
	for (size_t i = 0; i < n; i++) {
		struct fermata_program *p = fermata_program_new(t);
		int step = fermata_step(p, SYS_gettid);
		NEED(fermata_program_play_on(p, tids[i]) >= 0);
		NEED(fermata_program_result(p, step) == tids[i]);
		fermata_program_free(p);
	}
	struct fermata_program *p = fermata_program_new(t);
	fermata_step(p, SYS_gettid);
	NEED(fermata_program_play_on(p, 1) == -ESRCH);
	fermata_program_free(p);
}

static void test_descriptors(void)
{
	int ends[2];
	struct stat here, there;
	NEED(pipe(ends) == 0);
	int original = fermata_inject_take_fd(t, 1);
	NEED(original >= 0);
	NEED(fermata_inject_give_fd(t, ends[1], 1) == 1);
	int now = fermata_inject_take_fd(t, 1);
	NEED(!fstat(now, &there) && !fstat(ends[1], &here) && here.st_ino == there.st_ino);
	NEED(fermata_inject_give_fd(t, original, 1) == 1);
	NEED(fermata_inject_take_fd(t, 99) == -EBADF && strstr(fermata_inject_error(t), "99"));
	close(now);
	close(original);
	close(ends[0]);
	close(ends[1]);
}

static void test_memory(const char *addresses)
{
	unsigned long detour, flag;
	int tid;
	struct user_regs_struct regs;
	FILE *f = fopen(addresses, "r");
	NEED(f && fscanf(f, "%lx %lx %d", &detour, &flag, &tid) == 3);
	fclose(f);
	int value = 77, read_back = 0;
	NEED(fermata_inject_write(t, flag, &value, sizeof(value)) >= 0);
	NEED(fermata_inject_read(t, flag, &read_back, sizeof(read_back)) >= 0 && read_back == 77);
	NEED(fermata_inject_read(t, 8, &read_back, 4) < 0 && strstr(fermata_inject_error(t), "0x8"));
	NEED(fermata_inject_get_registers(t, tid, &regs) >= 0);
	NEED(regs.rip > 4096 && regs.rsp > 4096);
	regs.rip = detour;
	regs.rsp = (regs.rsp - 256) / 16 * 16 - 8;
	NEED(fermata_inject_set_registers(t, tid, &regs) >= 0);
	NEED(fermata_inject_get_registers(t, tid, &regs) >= 0 && regs.rip == detour);
}

/* --- objects --- */

struct mailbox {
	_Atomic uint32_t question, answer;
	int64_t in, out;
};

static int ask(void *data)
{
	struct mailbox *box = data;
	for (int64_t i = 1; i <= 100; i++) {
		box->in = i;
		box->question++;
		while (box->question != box->answer)
			;
		if (box->out != i * i)
			return -EPROTO;
	}
	box->in = 0;
	box->question++;
	return 0;
}

static void test_objects(const char *good, const char *lacking)
{
	struct fermata_object *o, *second;
	int64_t result;
	uint64_t address;
	NEED(load_file(lacking, &o) == -ENOEXEC && strstr(fermata_inject_error(t), "missing"));
	NEED(fermata_inject_load(t, "#!/bin/sh", 9, &o) == -ENOEXEC);
	NEED(load_file(good, &o) >= 0);
	NEED(run(o, "sum", 1, 2) == 40 + 1 + 2 * 2 + 7);
	NEED(run(o, "sum", 0, 0) == 52 + 7);
	NEED(run(o, "n_calls", 0, 0) == 2);
	NEED(run(o, "first_letter", 0, 0) == 'f');
	NEED(run(o, "deep", 100, 0) == 100);
	NEED(run(o, "spoil", 0, 0) == 0);
	int64_t *total = fermata_object_data(o, "total");
	NEED(total && *total == 59);
	*total = 100;
	NEED(run(o, "sum", 1, 0) == 108);
	NEED(!fermata_object_symbol(o, "nothing") && !fermata_object_data(o, "nothing"));
	NEED(load_file(good, &second) >= 0); /* with data of its own */
	NEED(run(second, "sum", 1, 0) == 48 && *total == 108);
	NEED(!fermata_inject_share(t, 1 << 30, &address));

	struct mailbox *box = fermata_inject_share(t, sizeof(*box), &address);
	NEED(box && !box->question);
	const uint64_t arg[4] = {address, fermata_inject_caller(t)};
	NEED(fermata_inject_run_meanwhile(
		     t, fermata_object_symbol(o, "serve"), arg, ask, box, &result) >= 0);
	NEED(result == 100);
}

static void test_crash(const char *good)
{
	struct fermata_object *o;
	int64_t result;
	NEED(load_file(good, &o) >= 0);
	NEED(fermata_inject_run(t, fermata_object_symbol(o, "crash"), NULL, &result) == -EFAULT);
	NEED(strstr(fermata_inject_error(t), "signal 11"));
	NEED(fermata_inject_call(t, SYS_getpid, NULL, &result) == -EFAULT);
}

static void test_all(pid_t pid, char **argv)
{
	int64_t result;
	NEED(fermata_inject_call(t, SYS_getpid, NULL, &result) == -ESRCH);
	NEED(fermata_inject_seize(t, 4000000) == -ESRCH && *fermata_inject_error(t));
	NEED(fermata_inject_seize(t, pid) >= 0);
	NEED(fermata_inject_seize(t, pid) == -EBUSY);
	test_calls(pid);
	test_program(pid);
	test_links();
	test_threads(pid);
	test_descriptors();
	NEED(fermata_inject_cure(t) >= 0);
	NEED(fermata_inject_seize(t, pid) >= 0);
	NEED(fermata_inject_enter(t, 256 * 1024) >= 0);
	NEED(fermata_inject_enter(t, 0) == -EBUSY);
	test_objects(argv[0], argv[1]);
	NEED(fermata_inject_leave(t) >= 0);
	test_crash(argv[0]);
	NEED(fermata_inject_cure(t) >= 0);
	NEED(fermata_inject_seize(t, pid) >= 0);
	test_memory(argv[2]);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	t = fermata_inject_new();
	const char *mode = argc > 2 ? argv[1] : "";
	pid_t pid = argc > 2 ? atoi(argv[2]) : 0;
	int64_t result;
	if (!strcmp(mode, "all")) {
		test_all(pid, argv + 3);
	} else if (!strcmp(mode, "calls")) {
		NEED(fermata_inject_seize(t, pid) >= 0);
		for (int i = atoi(argv[3]); i > 0; i--)
			NEED(fermata_inject_call(t, SYS_getppid, NULL, &result) >= 0);
	} else { /* hold, serve: until somebody kills us */
		struct fermata_object *o;
		uint64_t address;
		NEED(fermata_inject_seize(t, pid) >= 0 && load_file(argv[3], &o) >= 0);
		NEED(fermata_inject_share(t, sizeof(struct mailbox), &address));
		const uint64_t arg[4] = {address, fermata_inject_caller(t)};
		run(o, "spoil", 0, 0);
		puts("inside");
		if (!strcmp(mode, "serve"))
			NEED(fermata_inject_run(t, fermata_object_symbol(o, "serve"), arg, &result) >= 0);
		pause();
	}
	NEED(fermata_inject_cure(t) >= 0);
	fermata_inject_free(t);
	puts("OK");
}
