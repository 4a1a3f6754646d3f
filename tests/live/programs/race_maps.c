/*
 * Memory mapped, unmapped, moved, protected, emptied, grown, written as fast as it goes, by threads
 * of one address space, with a child that is forked off it now and then: every word is where it was
 * put.
 * PROVES: F072 F078
 * VARIANTS: scenario
 */
#include "race.h"

enum { PAGES = 24 };

static void *mapper(void *arg)
{
	for (uint64_t i = 1; racing(); i++) {
		size_t size = (1 + i % PAGES) * PAGE;
		char *p = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		NEED(p != MAP_FAILED);
		fill(p, size, i);
		if (size > PAGE)
			NEED(!mprotect(p + size / PAGE / 2 * PAGE, PAGE, PROT_READ));
		need_filled(p, size, i);
		if (i % 2) {
			char *moved = mremap(p, size, size * 2, MREMAP_MAYMOVE);

			if (moved == MAP_FAILED) { /* two mappings, of different protection */
				NEED(errno == EFAULT);
				moved = p;
			} else {
				NEED(!munmap(moved + size, size));
			}
			p = moved;
			need_filled(p, size, i);
		}
		NEED(!munmap(p, size));
		race_beat((long)arg);
	}
	return NULL;
}

/* Pages that are given up read as zero; the others stay. */
static void *dropper(void *arg)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	for (uint64_t i = 1; racing(); i++) {
		fill(p, 4 * PAGE, i);
		NEED(!madvise(p + PAGE, PAGE, MADV_DONTNEED));
		for (size_t k = 0; k < PAGE; k++)
			SAME(p[PAGE + k], 0);
		need_filled(p, PAGE, i);
		NEED(!mprotect(p, PAGE, PROT_NONE));
		NEED(!mprotect(p, PAGE, PROT_READ | PROT_WRITE));
		need_filled(p, PAGE, i);
		race_beat((long)arg);
	}
	return NULL;
}

/* A file mapping, shared and private, while its file grows and shrinks. */
static void *file_mapper(void *arg)
{
	int fd = open(in_dir("mapped"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	NEED(fd >= 0);
	for (uint64_t i = 1; racing(); i++) {
		uint64_t *shared, *own;

		NEED(!ftruncate(fd, (2 + i % 3) * PAGE));
		shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
		own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
		NEED(shared != MAP_FAILED && own != MAP_FAILED);
		shared[1] = i;
		SAME(own[1], i);
		own[1] = ~i;
		shared[1] = i + 1;
		SAME(own[1], ~i);
		NEED(!munmap(shared, PAGE) && !munmap(own, PAGE));
		race_beat((long)arg);
	}
	close(fd);
	return NULL;
}

/* The program break; only this thread moves it (malloc's arenas of threads do not). */
static void *breaker(void *arg)
{
	for (uint64_t i = 1; racing(); i++) {
		char *p = sbrk((intptr_t)(8 * PAGE));

		NEED(p != (void *)-1);
		fill(p, 8 * PAGE, i);
		need_filled(p, 8 * PAGE, i);
		NEED(sbrk(-(intptr_t)(8 * PAGE)) == p + 8 * PAGE);
		race_beat((long)arg);
	}
	return NULL;
}

static uint64_t word;

/* A child sees what was there when it was forked, whatever becomes of it here. */
static void *forker(void *arg)
{
	for (uint64_t i = 1; racing(); i++) {
		pid_t pid;

		word = i;
		pid = fork();
		NEED(pid >= 0);
		if (pid == 0)
			_exit(word == i ? 44 : 45);
		word = ~i;
		need_exit(pid, 44);
		race_beat((long)arg);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	void *(*const body[])(void *) = {mapper, mapper, dropper, file_mapper, breaker, forker};
	enum { N = sizeof(body) / sizeof(body[0]) };
	pthread_t t[N];

	race_setup(argc, argv);
	for (int i = 0; i < N; i++)
		t[i] = race_thread(body[i], race_join());
	race_ready();
	for (int i = 0; i < N; i++)
		NEED(!pthread_join(t[i], NULL));
	ok();
}
