/*
 * A second way into the pages image: while the task, or another thread, writes from its front, the
 * controller copies from its back.
 *
 * write(2) has the lock of the file to itself.  UFFDIO_COPY (ioctl_userfaultfd(2)) into a shared
 * mapping of the file does without: the kernel makes a page of the file with its contents, and
 * nothing is cleared or faulted in.  Only files of tmpfs can have that.
 *
 * All of this may fail at any time: what is not copied here is left to the other.
 */
#include "mem/pages_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/progress.h"
#include "kernel/syscalls.h"

enum {
	/* What is copied before the task is looked at again. */
	PIECE = PAGES_CHUNK_MAX,
	BUFFER_LEN = 64 * 1024, /* stays in the cache */
};

/* --- may it be done --- */

static unsigned processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) < 0 ? UINT_MAX : (unsigned)CPU_COUNT(&set);
}

static bool has_spare_processor(const struct pages_beside *b)
{
	const unsigned *n = b->v->n_writing;
	return 2 * (n ? __atomic_load_n(n, __ATOMIC_RELAXED) : 1) <= b->n_processors;
}

static bool is_on_tmpfs(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* Pages that are copied into have to be within the file; beyond our limit that is SIGXFSZ. */
static bool make_whole(int fd, uint64_t size)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && size <= limit.rlim_cur &&
	       ftruncate(fd, (off_t)size) == 0;
}

static int open_uffd(void)
{
	_cleanup_close_ int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = {.api = UFFD_API};
	return fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 ? take_fd(&fd) : -1;
}

void pages_beside_begin(
	struct pages_beside *b, const struct vma_dump *v, int pages_fd, uint64_t size)
{
	*b = (struct pages_beside){
		.v = v, .pages_fd = pages_fd, .uffd = -1, .n_processors = processors()};
	/* its page cache is ours */
	if (b->n_processors < 2 || !is_on_tmpfs(pages_fd) ||
		!memory_cgroup_allows(v->s, getpid(), v->t->pid) || !make_whole(pages_fd, size))
		return;
	b->uffd = open_uffd();
}

static void give_up(struct pages_beside *b)
{
	cleanup_close(&b->uffd);
	b->uffd = -1;
}

void pages_beside_end(struct pages_beside *b)
{
	give_up(b);
	if (b->bytes)
		log_debug(b->v->s, "pid %d: %llu KiB of its pages were copied beside the others",
			b->v->t->pid, (unsigned long long)b->bytes >> 10);
}

/* --- a piece of it --- */

/* A part of the mapped image, and what of it is to come through the buffer next. */
struct window {
	const struct pages_beside *b;
	char *to;
	uint8_t *buffer;
	uint64_t used;
	struct iovec remote[BUFFER_LEN / ARCH_PAGE_SIZE];
	size_t n_remote;
};

static bool put(const struct window *w)
{
	for (uint64_t done = 0; done < w->used;) {
		struct uffdio_copy copy = {.dst = (uintptr_t)(w->to + done),
			.src = (uintptr_t)(w->buffer + done),
			.len = w->used - done};
		/* EAGAIN: a part of it was copied, or other threads change our mappings */
		if (ioctl(w->b->uffd, UFFDIO_COPY, &copy) < 0 && errno != EAGAIN)
			return false;
		done += copy.copy > 0 ? (uint64_t)copy.copy : 0;
	}
	return true;
}

static bool flush(struct window *w)
{
	struct iovec local = {w->buffer, w->used};
	ssize_t n = sys_process_vm_readv(w->b->v->t->pid, &local, 1, w->remote, w->n_remote);
	if (n != (ssize_t)w->used || !put(w))
		return false;
	w->to += w->used;
	w->used = w->n_remote = 0;
	return true;
}

static bool copy_chunk(struct window *w, const struct page_chunk *chunk)
{
	for (uint64_t done = 0; done < chunk->len;) {
		uint64_t room = BUFFER_LEN - w->used, left = chunk->len - done;
		uint64_t len = left < room ? left : room;
		w->remote[w->n_remote++] = (struct iovec){(void *)(chunk->addr + done), len};
		w->used += len;
		done += len;
		if (w->used == BUFFER_LEN && !flush(w))
			return false;
	}
	return true;
}

static bool copy_chunks(
	const struct pages_beside *b, const struct page_chunk *chunks, size_t n, char *to)
{
	_Alignas(ARCH_PAGE_SIZE) uint8_t buffer[BUFFER_LEN];
	struct window w = {.b = b, .to = to, .buffer = buffer};
	for (size_t i = 0; i < n; i++)
		if (!copy_chunk(&w, &chunks[i]))
			return false;
	return !w.used || flush(&w);
}

static bool copy_piece(
	const struct pages_beside *b, const struct page_chunk *chunks, size_t n, uint64_t len)
{
	char *to = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, b->pages_fd,
		(off_t)chunks[0].offset);
	if (to == MAP_FAILED)
		return false;
	struct uffdio_register reg = {
		.range = {(uintptr_t)to, len}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	bool done = ioctl(b->uffd, UFFDIO_REGISTER, &reg) == 0 && copy_chunks(b, chunks, n, to);
	munmap(to, len);
	return done;
}

size_t pages_beside_choose(const struct page_chunk *chunks, size_t n)
{
	uint64_t len = 0;
	while (n && chunks[n - 1].readable && len + chunks[n - 1].len <= PIECE)
		len += chunks[--n].len;
	return n;
}

bool pages_beside_copy(struct pages_beside *b, const struct page_chunk *chunks, size_t n)
{
	if (b->uffd < 0 || !has_spare_processor(b))
		return false;
	uint64_t len = chunks[n - 1].offset + chunks[n - 1].len - chunks[0].offset;
	if (!copy_piece(b, chunks, n, len)) {
		give_up(b);
		return false;
	}
	progress_add(b->v->s, len);
	b->bytes += len;
	return true;
}
