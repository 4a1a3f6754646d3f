/* Mappings of a child of every kind, whose flags come from smaps or from a BPF iterator. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_proc.h"

#include "kernel/proc_maps.h"
#include "kernel/vma_bits.h"

enum { N_PAIRS = 400, DROPPABLE = 0x08, SYS_MSEAL = 462 };

static char *map(size_t pages, int prot, int flags)
{
	char *p = mmap(NULL, pages * 4096, prot, flags, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* No two neighbours are alike. */
static void map_many(void)
{
	char *p = map(2 * N_PAIRS, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
	for (size_t i = 0; i < N_PAIRS; i++)
		mprotect(p + i * 8192, 4096, PROT_READ | PROT_WRITE);
}

static void map_advised(void)
{
	static const int advices[] = {MADV_SEQUENTIAL, MADV_RANDOM, MADV_DONTFORK, MADV_DONTDUMP,
		MADV_WIPEONFORK, MADV_MERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE};
	enum { N = sizeof(advices) / sizeof(*advices) };
	char *p = map(2 * N, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	for (size_t i = 0; i < N; i++)
		madvise(p + i * 8192, 4096, advices[i]);
}

static void map_kinds(void)
{
	map(3, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
	map(3, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	map(3, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN);
	mlock(map(3, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS), 4096);
	syscall(SYS_mlock2, map(3, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS), 4096, 1);
	int fd = memfd_create("a name (deleted)", 0);
	assert_int_equal(ftruncate(fd, 65536), 0);
	mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8192);
	mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 12288);
}

/* What the iterator does not tell all of; false: this kernel has none. */
static bool map_huge(void)
{
	return mmap(NULL, 2 << 20, PROT_READ,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1,
		       0) != MAP_FAILED;
}

static bool map_droppable(void)
{
	return map(3, PROT_READ | PROT_WRITE, DROPPABLE | MAP_ANONYMOUS);
}

static bool map_sealed(void)
{
	return syscall(SYS_MSEAL, map(3, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS), 4096, 0) == 0;
}

static bool map_with_key(void)
{
	char *p = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	int key = pkey_alloc(0, 0);
	return key > 0 && pkey_mprotect(p, 4096, PROT_READ, key) == 0;
}

static bool map_userfault(void)
{
	char *p = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {{(uintptr_t)p, 4096}, UFFDIO_REGISTER_MODE_MISSING, 0};
	return ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &r) == 0;
}

/* A child that has mapped those and waits to be killed; 0: it could not. */
static pid_t start(bool (*odd)(void))
{
	int ends[2];
	char ok = 0;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		map_many();
		map_advised();
		map_kinds();
		ok = !odd || odd();
		if (write(ends[1], &ok, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &ok, 1), 1);
	close(ends[0]);
	close(ends[1]);
	if (ok)
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static int count_calls(void *arg)
{
	++*(int *)arg;
	return 0;
}

static void compare(const vma_info_vec *like, const vma_info_vec *all)
{
	assert_int_equal(like->n, all->n);
	for (size_t i = 0; i < all->n; i++) {
		const struct vma_info *a = &like->v[i], *b = &all->v[i];
		assert_true(a->start == b->start && a->end == b->end);
		assert_true(a->pgoff == b->pgoff && a->ino == b->ino && a->dev == b->dev);
		assert_true(a->prot == b->prot && a->shared == b->shared);
		assert_string_equal(a->name, b->name);
		assert_true(a->vmflags == b->vmflags);
	}
}

/* Returns whether the iterator was of use. */
static bool check(struct session *s, pid_t pid, bool takes_long)
{
	vma_info_vec like = {0}, all = {0};
	int calls = 0;
	assert_int_equal(proc_smaps_read(s, pid, &like), 0);
	assert_int_equal(proc_smaps_read_while(s, pid, takes_long, &all, count_calls, &calls), 0);
	assert_int_equal(calls, 1);
	compare(&like, &all);
	return !all.v[all.n / 2].has_smaps;
}

/* The same by a program that is made for many tasks. */
static void check_program(struct session *s, pid_t pid, bool known)
{
	vma_info_vec like = {0}, all = {0};
	int program = proc_flags_program(s, getpid());
	if (program < 0)
		return;
	assert_int_equal(proc_smaps_read(s, pid, &like), 0);
	assert_int_equal(proc_flagged_maps_read(s, program, pid, &all), 0);
	compare(&like, &all);
	assert_int_equal(!all.v[all.n / 2].has_smaps, known);
	close(program);
}

static void check_and_kill(struct session *s, pid_t pid, bool known)
{
	check_program(s, pid, known);
	assert_int_equal(check(s, pid, false), known);
	assert_int_equal(check(s, pid, true), known);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_all_kinds(void **state)
{
	struct session *s = *state;
	pid_t pid = start(NULL);
	vma_bits_vec bits = {0};
	int r = vma_bits_read(&s->arena, 0, pid, &bits);
	if (r < 0)
		print_message("the kernel does not tell: %s\n", strerror(-r));
	assert_true(r != -ENOTSUP);
	check_and_kill(s, pid, r == 0);
}

static void test_odd_kinds(void **state)
{
	static bool (*const kinds[])(void) = {
		map_huge, map_droppable, map_sealed, map_with_key, map_userfault};
	struct session *s = *state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		pid_t pid = start(kinds[i]);
		if (pid)
			check_and_kill(s, pid, false);
		else
			print_message("kind %zu cannot be made here\n", i);
	}
}

/* A wrong bit, of a mapping that is among those first read from smaps. */
static void test_sample(void **state)
{
	struct session *s = *state;
	vma_info_vec maps = {0}, smaps = {0};
	vma_bits_vec bits = {0};
	pid_t pid = start(NULL);
	if (vma_bits_read(&s->arena, 0, pid, &bits) < 0)
		skip();
	assert_int_equal(proc_maps_read(s, pid, &maps), 0);
	assert_int_equal(proc_smaps_read(s, pid, &smaps), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	smaps.n = 5;
	assert_true(vma_bits_apply(&bits, maps.v, maps.n, &smaps));
	bits.v[3].bits ^= 1 << 26;
	assert_false(vma_bits_apply(&bits, maps.v, maps.n, &smaps));
	bits.v[3].bits ^= 1 << 26;
	bits.v[9].bits ^= 1;
	assert_false(vma_bits_apply(&bits, maps.v, maps.n, &smaps));
	bits.v[9].bits ^= 1;
	bits.n--;
	assert_false(vma_bits_apply(&bits, maps.v, maps.n, &smaps));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_all_kinds),
		with_session(test_odd_kinds),
		with_session(test_sample),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
