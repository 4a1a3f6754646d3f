/*
 * Huge pages with a file: a memfd, mapped by two tasks, once privately with a page of its own, and a
 * System V segment; private anonymous ones that fork() shared, one page of them changed since.
 * PROVES: F094 F085
 */
#include "check.h"

#include <sys/ipc.h>
#include <sys/shm.h>

#define HUGE (2UL << 20)

static char *shared, *private, *segment, *forked;

static void child(void *unused)
{
	(void)unused;
	fill(forked, HUGE, 6);
	child_park();
	need_filled(shared, HUGE, 1);
	need_filled(segment, HUGE, 4);
	need_filled(forked, HUGE, 6);
	fill(shared, HUGE, 7);
	fill(segment, HUGE, 8);
}

static bool is_huge(const void *addr)
{
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");
	bool inside = false, huge = false;

	NEED(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		int kb;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (uintptr_t)addr && (uintptr_t)addr < end;
		else if (inside && sscanf(line, "KernelPageSize: %d", &kb) == 1)
			huge = kb == 2048;
	}
	fclose(f);
	return huge;
}

int main(int argc, char **argv)
{
	const int rw = PROT_READ | PROT_WRITE;

	setup(argc, argv);
	int fd = memfd_create("huge", MFD_HUGETLB | MFD_ALLOW_SEALING), id = -1;

	if (fd >= 0 && !ftruncate(fd, 2 * HUGE)) {
		shared = mmap(NULL, 2 * HUGE, rw, MAP_SHARED, fd, 0);
		private = mmap(NULL, 2 * HUGE, rw, MAP_PRIVATE, fd, 0);
		forked = mmap(NULL, HUGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		id = shmget(IPC_PRIVATE, HUGE, IPC_CREAT | SHM_HUGETLB | 0600);
	}
	if (id < 0 || shared == MAP_FAILED || private == MAP_FAILED || forked == MAP_FAILED) {
		if (id >= 0)
			shmctl(id, IPC_RMID, NULL);
		skip("no huge pages reserved on this machine");
	}
	segment = shmat(id, NULL, 0);
	NEED(segment != (char *)-1 && !shmctl(id, IPC_RMID, NULL));
	fill(shared, HUGE, 1);
	fill(private + HUGE, HUGE, 3);
	fill(segment, HUGE, 4);
	fill(forked, HUGE, 5);
	pid_t pid = spawn(child, NULL);

	await_child(pid);
	park();
	NEED(is_huge(shared) && is_huge(private) && is_huge(segment) && is_huge(forked));
	need_exit(pid, 0);
	need_filled(shared, HUGE, 7);
	need_filled(private, HUGE, 7);
	need_filled(private + HUGE, HUGE, 3);
	need_filled(segment, HUGE, 8);
	need_filled(forked, HUGE, 5);
	for (int i = 0; i < 64; i++)
		SAME(shared[HUGE + i], 0);
	struct stat st;
	NEED(!fstat(fd, &st));
	SAME(st.st_size, 2 * HUGE);
	SAME(st.st_blksize, HUGE);
	ok();
}
