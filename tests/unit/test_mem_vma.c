/* Mappings at dump: from captured smaps, and of a live child. */
#include "test_mem.h"

#include <stdio.h>

#include "kernel/syscalls.h"
#include "mem/plan.h"
#include "mem/vdso.h"

#define SMAPS(header, details, flags) header "\n" details "VmFlags: " flags "\n"
#define PLAIN_KB		      "Size: 4 kB\nKernelPageSize:        4 kB\nRss: 4 kB\nAnonymous: 4 kB\n"

struct expectation {
	const char *smaps;
	uint32_t status, flags;
	uint64_t madv;
	bool refused;
};

static const struct expectation expectations[] = {
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 ", PLAIN_KB, "rd wr mr mw me ac"),
		VMA_REGULAR | VMA_ANON_PRIVATE, 0x22, 0, false},
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 [heap]", PLAIN_KB, "rd wr mr mw me ac nh mg"),
		0x221, 0x22, 1 << MADV_NOHUGEPAGE | 1 << MADV_MERGEABLE, false},
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 [stack]", PLAIN_KB, "rd wr mr mw me gd ac"), 0x201,
		0x122, 0, false},
	{SMAPS("1000-2000 r--p 00000000 00:00 0 [vvar]", PLAIN_KB, "rd mr pf io de dd"), 0x1201,
		0x22, 1 << MADV_DONTDUMP, false},
	{SMAPS("1000-2000 r-xp 00000000 00:00 0 [vdso]", PLAIN_KB, "rd ex mr mw me de"), 0x209,
		0x22, 0, false},
	{SMAPS("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", PLAIN_KB,
		 "ex"),
		0x204, 0x22, 0, false},
	{SMAPS("1000-2000 r-xp 00003000 fe:00 77 /lib/libc.so.6", PLAIN_KB, "rd ex mr mw me"), 0x41,
		0x2, 0, false},
	{SMAPS("1000-2000 rw-s 00000000 fe:00 77 /a [heap]", PLAIN_KB,
		 "rd wr sh mr mw me ms lo nr"),
		0x81, 0x6001, 0, false},
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 ", PLAIN_KB, "rd wr mr mw me dp wf dd nr"), 0x201,
		0x4028, 1 << MADV_WIPEONFORK | 1 << MADV_DONTDUMP, false},
	{SMAPS("200000-400000 rw-p 00000000 00:0f 5 /anon_hugepage (deleted)",
		 "KernelPageSize:     2048 kB\n", "rd wr mr mw me de ht"),
		0x201, 0x22 | 0x40000 | 21 << 26, 0, false},
	{SMAPS("1000-2000 rw-s 00000000 fe:00 5 /dev/mem", PLAIN_KB, "rd wr sh mr mw pf io"), 0x81,
		0x1, 0, false}, /* the file code refuses it */
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 ", PLAIN_KB, "rd wr mr mw pf io"), 0x201, 0x22, 0,
		true},
	{SMAPS("1000-2000 rw-s 00000000 00:0e 5 anon_inode:[io_uring]", PLAIN_KB, "rd wr sh"),
		0x1000001, 0x1, 0, false}, /* our own status; file/io_uring.c decides */
	{SMAPS("1000-2000 rw-s 00000000 00:01 5 /SYSV00000000 (deleted)", PLAIN_KB, "rd wr sh"),
		0x501, 0x21, 0, false},
	{SMAPS("1000-2000 rw-p 00000000 00:01 5 /SYSV00000000 (deleted)", PLAIN_KB, "rd wr"), 0x41,
		0x2, 0, true},
	{SMAPS("1000-2000 rw-s 00000000 fe:00 5 /SYSVstuff", PLAIN_KB, "rd wr sh"), 0x81, 0x1, 0,
		false},
	{SMAPS("1000-2000 rw-s 00000000 00:0e 5 /[aio] (deleted)", PLAIN_KB, "rd wr sh"), 0x2000,
		0x1, 0, false},
	{SMAPS("1000-2000 rw-s 00000000 00:0e 5 /secretmem (deleted)", PLAIN_KB, "rd wr sh lo dd"),
		0x81, 0x2001, 1 << MADV_DONTDUMP, true},
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 ", PLAIN_KB, "rd wr mr mw me sl"), 0x201, 0x22, 0,
		false},
	{SMAPS("1000-2000 rw-s 00000000 00:0e 9 anon_inode:[io_uring]", PLAIN_KB, "rd wr sh sl"),
		VMA_IO_URING | VMA_REGULAR, 1, 0, true},
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 ", PLAIN_KB, "rd wr mr mw me um"), 0x201, 0x22, 0,
		true},
	{SMAPS("1000-2000 rw-p 00000000 00:00 0 ", PLAIN_KB "ProtectionKey: 3\n", "rd wr"), 0x201,
		0x22, 0, true},
	{SMAPS("1000-2000 --xp 00000000 00:00 0 ", PLAIN_KB "ProtectionKey: 1\n", "ex"), 0x201,
		0x22, 0, false},
	{SMAPS("1000-2000 --xp 00000000 00:00 0 [uprobes]", PLAIN_KB, "ex io"), 0x201, 0x22, 0,
		true},
};

static void test_classify(void **state)
{
	struct session *s = *state;
	struct task t = {.pid = 7};
	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
		const struct expectation *x = &expectations[i];
		vma_info_vec v = {0};
		assert_int_equal(proc_maps_parse(&s->arena, x->smaps, strlen(x->smaps), &v), 0);
		VmaEntry e;
		vma_classify(&v.v[0], &e);
		if (e.status != x->status || e.flags != x->flags || e.madv != x->madv)
			bad("%zu: status %x flags %x madv %lx", i, e.status, e.flags,
				(unsigned long)e.madv);
		assert_int_equal(e.fd, -1);
		size_t before = s->blockers.n;
		assert_int_equal(vma_refuse(s, &t, &v.v[0], &e), x->refused);
		assert_int_equal(s->blockers.n > before, x->refused);
	}
}

static void test_predicates(void **state)
{
	(void)state;
	VmaEntry e = VMA_ENTRY__INIT;
	e.end = 0x1000;
	e.status = VMA_REGULAR | VMA_ANON_PRIVATE;
	e.flags = VMA_MAP_PRIVATE | VMA_MAP_ANONYMOUS;
	assert_true(vma_is_private_content(&e) && vma_has_dumped_pages(&e) && vma_may_be_lazy(&e));
	e.flags |= VMA_MAP_LOCKED;
	assert_false(vma_may_be_lazy(&e));
	e.flags = VMA_MAP_DROPPABLE | VMA_MAP_ANONYMOUS;
	assert_true(vma_is_private_content(&e));
	assert_false(vma_has_dumped_pages(&e));
	e.status = VMA_REGULAR | VMA_FILE_SHARED;
	assert_false(vma_is_private_content(&e));
	e.status = VMA_GUARD;
	assert_false(vma_is_private_content(&e));
}

/* Names and locks on fault go into the extras of the leader. */
static void test_extras(void **state)
{
	struct session *s = *state;
	static const char *const smaps =
		SMAPS("1000-2000 rw-p 00000000 00:00 0 [anon:a (b)]", PLAIN_KB, "rd wr")
		SMAPS("2000-3000 rw-p 00000000 00:00 0 [heap]", PLAIN_KB, "rd wr")
		SMAPS("3000-5000 rw-p 00000000 00:00 0 ", PLAIN_KB, "rd wr lo lf")
		SMAPS("5000-6000 rw-p 00000000 fe:00 7 [anon:file]", PLAIN_KB, "rd wr")
		SMAPS("6000-7000 rw-s 00000000 00:01 8 [anon_shmem:x]", PLAIN_KB, "rd wr sh")
		SMAPS("7000-8000 rw-p 00000000 00:00 0 [anon:]", PLAIN_KB, "rd wr lo lf");
	struct tree tree = {0};
	struct task *t = task_new(s, &tree, NULL, 7);
	struct thread *th = thread_new(s, t, 7);
	struct vma_dump v = {.s = s, .t = t};
	assert_int_equal(proc_maps_parse(&s->arena, smaps, strlen(smaps), &v.smaps), 0);
	vec_for_each (&v.smaps, info) {
		struct dumped_vma vma = {.info = info};
		vma_classify(info, &vma.e);
		*vec_push(&s->arena, &v.vmas) = vma;
	}
	vma_extras_collect(&v);
	assert_int_equal(th->extras->n_vmas, 4);
	const FermataVma *x = mem_vma_extra(t, &v.vmas.v[0].e);
	assert_string_equal(x->name, "a (b)");
	assert_false(x->lock_on_fault);
	assert_null(mem_vma_extra(t, &v.vmas.v[1].e));
	x = mem_vma_extra(t, &v.vmas.v[2].e);
	assert_true(x->lock_on_fault && !x->name);
	assert_null(mem_vma_extra(t, &v.vmas.v[3].e));
	assert_string_equal(mem_vma_extra(t, &v.vmas.v[4].e)->name, "x");
	x = mem_vma_extra(t, &v.vmas.v[5].e);
	assert_true(x->lock_on_fault && !strcmp(x->name, ""));
	VmaEntry other = v.vmas.v[5].e;
	other.end += 0x1000;
	assert_null(mem_vma_extra(t, &other));
}

static void test_live(void **state)
{
	struct session *s = *state;
	const size_t len = 16 * 4096;
	char *shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *guarded = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(guarded, 1, len);
	bool guards = madvise(guarded + 4096, 8192, MADV_GUARD_INSTALL) == 0;
	struct victim v;
	stop_child(&v, s, start_child());
	struct vma_dump *d;
	uint64_t start = now_us();
	assert_int_equal(collect_vmas(s, &v.files, v.t, &d), 0);
	print_message("%zu VMAs in %u us\n", v.t->mm->n_vmas, (unsigned)(now_us() - start));
	assert_int_equal(s->blockers.n, 0);
	assert_int_equal(v.t->mm->exe_file_id, 1000);
	assert_int_equal(v.t->mm->n_mm_saved_auxv, 44);
	assert_true(v.t->mm->mm_start_stack > (uintptr_t)shared);

	const VmaEntry *e = vma_at(&v, shared);
	assert_int_equal(e->status, VMA_REGULAR | VMA_FILE_SHARED | VMA_MEMFD);
	assert_int_equal(e->flags, VMA_MAP_SHARED);
	assert_int_equal(e->fdflags, O_RDWR);
	e = vma_at(&v, (const void *)(uintptr_t)test_live);
	assert_int_equal(e->status, VMA_REGULAR | VMA_FILE_PRIVATE);
	assert_int_equal(e->prot, PROT_READ | PROT_EXEC);
	assert_int_equal(e->fdflags, O_RDONLY);
	size_t n_vvar = 0;
	for (size_t i = 0; i < v.t->mm->n_vmas; i++)
		n_vvar += (v.t->mm->vmas[i]->status & VMA_VVAR) != 0;
	assert_int_equal(n_vvar, 1);
	if (guards && d->knows_guards) {
		e = v.t->mm->vmas[v.t->mm->n_vmas - 1];
		assert_int_equal(e->status, VMA_GUARD);
		assert_int_equal(e->start, (uintptr_t)guarded + 4096);
		assert_int_equal(e->end - e->start, 8192);
		assert_int_equal(e->flags | e->prot, 0);
	}
	end_child(&v);
	munmap(shared, len);
	munmap(guarded, len);
}

/* A parked vDSO with a mark is left out, and the one it stands in for takes its place. */
static void test_proxy_mark(void **state)
{
	struct session *s = *state;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *own = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
	char *parked = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
	*(struct vdso_mark *)(parked + 4096) = (struct vdso_mark){VDSO_MARK_SIGNATURE,
		(uintptr_t)own + 4096, VDSO_MARK_VERSION, UINT64_MAX, (uintptr_t)parked};
	own[4096] = 1;
	assert_int_equal(mprotect(own + 4096, 4096, PROT_READ | PROT_EXEC), 0);
	assert_int_equal(mprotect(parked + 4096, 4096, PROT_READ | PROT_EXEC), 0);
	struct victim v;
	stop_child(&v, s, start_child());
	struct vma_dump *d;
	assert_int_equal(collect_vmas(s, &v.files, v.t, &d), 0);
	const VmaEntry *e = vma_at(&v, own + 4096);
	assert_non_null(e);
	assert_true(e->status & VMA_VDSO);
	assert_null(vma_at(&v, parked + 4096));
	end_child(&v);
	munmap(own, 3 * 4096);
	munmap(parked, 3 * 4096);
}

static void test_many(void **state)
{
	struct session *s = *state;
	const size_t n = 10000;
	char *area = mmap(
		NULL, 2 * n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < n; i++) {
		area[2 * i * 4096] = 1;
		assert_int_equal(mprotect(area + 2 * i * 4096, 4096, PROT_READ), 0);
	}
	struct victim v;
	stop_child(&v, s, start_child());
	struct vma_dump *d;
	uint64_t start = now_us();
	assert_int_equal(collect_vmas(s, &v.files, v.t, &d), 0);
	print_message("%zu VMAs in %u us\n", v.t->mm->n_vmas, (unsigned)(now_us() - start));
	assert_true(v.t->mm->n_vmas >= 2 * n);
	end_child(&v);
	munmap(area, 2 * n * 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_classify),
		with_session(test_predicates),
		with_session(test_extras),
		with_session(test_live),
		with_session(test_proxy_mark),
		with_session(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
