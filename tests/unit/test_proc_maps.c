/* Parsers of smaps, maps and mountinfo against captured text and against this very process. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "test_proc.h"

#include "kernel/mountinfo.h"
#include "kernel/proc_maps.h"

static const char smaps_text[] =
	"55a4cad36000-55a4cad38000 r--p 00000000 fe:00 247498                     /usr/bin/head\n"
	"Size:                  8 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
	"Rss:                   8 kB\nPss:                   8 kB\nPss_Dirty:             0 kB\n"
	"Private_Clean:         8 kB\nPrivate_Dirty:         4 kB\nAnonymous:             4 kB\n"
	"Swap:                 12 kB\nSwapPss:               9 kB\nLocked:                0 kB\n"
	"THPeligible:           0\nProtectionKey:         3\nVmFlags: rd mr mw me sd \n"
	"55a4cad38000-55a4cad39000 rw-s 00001000 00:01 3                          "
	"/dev/zero (deleted)\n"
	"Rss:                   0 kB\nVmFlags: rd wr sh gd ?? zz lo io pf sr rr dc mg hg nh dd wf "
	"ss "
	"sl um uw ui dp ac nr ht \n"
	"7f0000000000-7f0000001000 rwxp 00000000 103:05 18446744073709551615      "
	"/tmp/a b\\012c \n"
	"7f0000001000-7f0000002000 ---p 00000000 00:00 0 \n"
	"7ffebf41e000-7ffebf43f000 rw-p 00000000 00:00 0                          [stack]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static int parse_maps(struct arena *a, const char *text, size_t len)
{
	vma_info_vec v = {0};
	return proc_maps_parse(a, text, len, &v);
}

static void test_smaps(void **state)
{
	struct session *s = *state;
	vma_info_vec v = {0};
	assert_int_equal(proc_maps_parse(&s->arena, smaps_text, sizeof(smaps_text) - 1, &v), 0);
	assert_int_equal(v.n, 6);
	assert_true(v.v[0].has_smaps);
	assert_int_equal(v.v[0].start, 0x55a4cad36000);
	assert_int_equal(v.v[0].end, 0x55a4cad38000);
	assert_int_equal(v.v[0].prot, PROT_READ);
	assert_false(v.v[0].shared);
	assert_int_equal(v.v[0].dev, makedev(0xfe, 0));
	assert_int_equal(v.v[0].ino, 247498);
	assert_string_equal(v.v[0].name, "/usr/bin/head");
	assert_int_equal(v.v[0].rss, 8192);
	assert_int_equal(v.v[0].anonymous, 4096);
	assert_int_equal(v.v[0].private_dirty, 4096);
	assert_int_equal(v.v[0].swap, 12288);
	assert_int_equal(v.v[0].kernel_page_size, 4096);
	assert_int_equal(v.v[0].protection_key, 3);
	assert_int_equal(v.v[0].vmflags, VMF(RD) | VMF(MR) | VMF(MW) | VMF(ME) | VMF(SD));
	assert_true(v.v[1].shared);
	assert_int_equal(v.v[1].pgoff, 0x1000);
	assert_string_equal(v.v[1].name, "/dev/zero (deleted)");
	assert_true(v.v[1].vmflags & VMF(UNKNOWN));
	assert_true(v.v[1].vmflags & VMF(SL));
	assert_true(v.v[1].vmflags & VMF(HT));
	assert_string_equal(v.v[2].name, "/tmp/a b\nc ");
	assert_int_equal(v.v[2].dev, makedev(0x103, 5));
	assert_true(v.v[2].ino == UINT64_MAX);
	assert_int_equal(v.v[2].prot, PROT_READ | PROT_WRITE | PROT_EXEC);
	assert_string_equal(v.v[3].name, "");
	assert_int_equal(v.v[3].prot, 0);
	assert_string_equal(v.v[4].name, "[stack]");
	assert_int_equal(v.v[5].start, 0xffffffffff600000);
	torture(&s->arena, parse_maps, smaps_text, sizeof(smaps_text) - 1);
}

static void test_maps_garbage(void **state)
{
	struct session *s = *state;
	assert_int_equal(parse_maps(&s->arena, "Rss: 4 kB\n", 10), -EINVAL);
	assert_int_equal(parse_maps(&s->arena, "\n", 1), -EINVAL);
	assert_int_equal(parse_maps(&s->arena, "2-1 r--p 0 0:0 0\n", 17), -EINVAL);
	assert_int_equal(parse_maps(&s->arena, "1-11111111111111111 r--p 0 0:0 0\n", 33), -EINVAL);
	assert_int_equal(parse_maps(&s->arena, "1-2 r--q 0 0:0 0\n", 17), -EINVAL);
	assert_int_equal(parse_maps(&s->arena, "1-2 r--p 0 0:0 0", 16), 0);
}

static const struct vma_info *find(vma_info_vec *v, const void *address)
{
	vec_for_each (v, vma)
		if (vma->start == (uintptr_t)address)
			return vma;
	return NULL;
}

static void test_smaps_live(void **state)
{
	struct session *s = *state;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char path[] = "/tmp/fermata nasty\nname \\012 (deleted)XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)page * 2), 0);
	char *file = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)page);
	char *anon =
		mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *gap = anon + 3 * page; /* keeps the kernel from merging it with its neighbour */
	assert_int_equal(mprotect(gap, page, PROT_NONE), 0);
	anon[0] = anon[page] = 1;
	assert_int_equal(madvise(anon, 3 * page, MADV_DONTFORK), 0);

	vma_info_vec smaps = {0}, maps = {0};
	assert_int_equal(proc_smaps_read(s, getpid(), &smaps), 0);
	assert_int_equal(proc_maps_read(s, getpid(), &maps), 0);
	const struct vma_info *vma = find(&smaps, anon);
	assert_non_null(vma);
	assert_int_equal(vma->end - vma->start, 3 * page);
	assert_int_equal(vma->rss, 2 * page);
	assert_int_equal(vma->anonymous, 2 * page);
	assert_int_equal(vma->kernel_page_size, page);
	assert_true(vma->vmflags & VMF(DC));
	vma = find(&smaps, file);
	assert_non_null(vma);
	assert_true(vma->shared);
	assert_int_equal(vma->pgoff, page);
	assert_non_null(strstr(vma->name, "/fermata nasty\nname "));
	assert_non_null(find(&maps, file));
	assert_false(find(&maps, anon)->has_smaps);
	munmap(file, page);
	munmap(anon, 4 * page);
	close(fd);
	unlink(path);
}

static int count_calls(void *arg)
{
	return (*(int *)arg)++ == 7 ? -ECANCELED : 0;
}

/*
 * What is read another way is what we would; the thread's stack and heap are new mappings, ours
 * from base on are not.
 */
static void check_read_while(struct session *s, bool takes_long, const char *base,
	const struct vma_info *like, size_t n)
{
	vma_info_vec all = {0}, few = {0};
	int calls = 0;
	assert_int_equal(proc_smaps_read_while(s, getpid(), takes_long, &all, count_calls, &calls), 0);
	assert_int_equal(calls, 1);
	const struct vma_info *vma = find(&all, base);
	assert_non_null(vma);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(vma[i].start, like[i].start);
		assert_int_equal(vma[i].end, like[i].end);
		assert_int_equal(vma[i].vmflags, like[i].vmflags);
	}
	calls = 7;
	assert_int_equal(proc_smaps_read_while(s, getpid(), takes_long, &few, count_calls, &calls),
		-ECANCELED);
	assert_true(few.n < all.n);
}

/* More text than one buffer of the reader: lines and VMAs cut by its edges. */
static void test_many_vmas(void **state)
{
	struct session *s = *state;
	enum { N = 4000 };
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *base = mmap(NULL, N * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < N; i += 2) {
		assert_int_equal(mprotect(base + i * page, page, PROT_READ | PROT_WRITE), 0);
		base[i * page] = 1;
	}
	vma_info_vec smaps = {0}, maps = {0};
	assert_int_equal(proc_maps_read(s, getpid(), &maps), 0);
	assert_int_equal(proc_smaps_read(s, getpid(), &smaps), 0);
	const struct vma_info *vma = find(&smaps, base + 2 * page) - 2;
	const struct vma_info *plain = find(&maps, base + 2 * page) - 2;
	for (size_t i = 2; i + 2 < N; i++) {
		assert_int_equal(vma[i].start, (uintptr_t)(base + i * page));
		assert_int_equal(vma[i].end - vma[i].start, page);
		assert_int_equal(vma[i].rss, i & 1 ? 0 : page);
		assert_true(vma[i].vmflags & VMF(RD));
		assert_int_equal(!!(vma[i].vmflags & VMF(WR)), !(i & 1));
		assert_int_equal(plain[i].start, vma[i].start);
		assert_int_equal(plain[i].prot, vma[i].prot);
	}
	check_read_while(s, false, base + 2 * page, vma + 2, N - 4);
	check_read_while(s, true, base + 2 * page, vma + 2, N - 4);
	munmap(base, N * page);
}

static void test_maps_gone(void **state)
{
	struct session *s = *state;
	vma_info_vec v = {0};
	assert_int_equal(proc_maps_read(s, 0x3fffffff, &v), -ENOENT);
	assert_int_equal(s->failure.err, 0);
}

static const char mounts_text[] =
	"22 27 0:21 / /proc rw,relatime - proc proc rw\n"
	"36 35 254:0 /mnt\\0401 /mnt\\0112\\134\\012 rw,noatime shared:1 master:2 propagate_from:3 "
	"unbindable newtag:9 - fuse.s\\043x //srv/a\\040b rw,errors=continue,o=\\054\n"
	"37 36 0:4 mnt:[4026531840] /run/ns rw - nsfs nsfs rw\n"
	"38 36 0:40 / /e rw -  - rw,x\n"
	"39 36 0:41 / /f rw - tmpfs  ro\n";

static int parse_mounts(struct arena *a, const char *text, size_t len)
{
	mountinfo_vec v = {0};
	return mountinfo_parse(a, text, len, &v);
}

static void test_mountinfo(void **state)
{
	struct session *s = *state;
	mountinfo_vec v = {0};
	assert_int_equal(mountinfo_parse(&s->arena, mounts_text, sizeof(mounts_text) - 1, &v), 0);
	assert_int_equal(v.n, 5);
	assert_int_equal(v.v[0].id, 22);
	assert_int_equal(v.v[0].parent, 27);
	assert_string_equal(v.v[0].fstype, "proc");
	assert_int_equal(v.v[1].dev, makedev(254, 0));
	assert_string_equal(v.v[1].root, "/mnt 1");
	assert_string_equal(v.v[1].mountpoint, "/mnt\t2\\\n");
	assert_string_equal(v.v[1].options, "rw,noatime");
	assert_int_equal(v.v[1].shared, 1);
	assert_int_equal(v.v[1].master, 2);
	assert_int_equal(v.v[1].propagate_from, 3);
	assert_true(v.v[1].unbindable);
	assert_string_equal(v.v[1].fstype, "fuse.s#x");
	assert_string_equal(v.v[1].source, "//srv/a b");
	assert_string_equal(v.v[1].sb_options, "rw,errors=continue,o=\\054");
	assert_string_equal(v.v[2].root, "mnt:[4026531840]");
	assert_string_equal(v.v[3].source, "-");
	assert_string_equal(v.v[4].source, "");
	assert_string_equal(v.v[4].sb_options, "ro");
	assert_int_equal(parse_mounts(&s->arena, "22 27 0:21 / /proc rw\n", 22), -EINVAL);
	torture(&s->arena, parse_mounts, mounts_text, sizeof(mounts_text) - 1);
}

static void test_mountinfo_live(void **state)
{
	struct session *s = *state;
	mountinfo_vec v = {0};
	assert_int_equal(mountinfo_read(s, getpid(), &v), 0);
	bool proc = false;
	vec_for_each (&v, m)
		proc |= !strcmp(m->mountpoint, "/proc") && !strcmp(m->fstype, "proc");
	assert_true(proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_session(test_smaps),
		with_session(test_maps_garbage),
		with_session(test_smaps_live),
		with_session(test_many_vmas),
		with_session(test_maps_gone),
		with_session(test_mountinfo),
		with_session(test_mountinfo_live),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
