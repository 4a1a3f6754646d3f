/*
 * Large memories that are copied from outside, by both threads of the controller: one writes from
 * the front of the image, the other copies from its back as pages_beside.c does.  Where there is
 * but one, or no way for the second, the first does all.
 */
#include "mem/pages_dump.h"

#include <pthread.h>

#include "base/share.h"

/* On so many bytes much more is gained than it takes to try. */
enum { LARGE = 8 << 20 };

struct copying {
	const struct vma_dump *v;
	struct pages_beside beside;
	const struct page_chunk *chunks;
	pthread_mutex_t lock;
	size_t front, back; /* of them: nobody has taken these yet */
};

/* Some of the first. 0: there are none left. */
static size_t take_front(struct copying *c, size_t *ret_first)
{
	uint64_t len = 0;
	pthread_mutex_lock(&c->lock);
	size_t first = c->front, end = first;
	while (end < c->back && len < PAGES_CHUNK_MAX)
		len += c->chunks[end++].len;
	c->front = end;
	pthread_mutex_unlock(&c->lock);
	*ret_first = first;
	return end - first;
}

/* Some of the last, but what cannot be copied beside: that is left to the other thread. */
static size_t take_back(struct copying *c, size_t *ret_first)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->back - c->front;
	size_t first = c->front + pages_beside_choose(c->chunks + c->front, n);
	n = c->back - first;
	c->back = first;
	pthread_mutex_unlock(&c->lock);
	*ret_first = first;
	return n;
}

static void set_back(struct copying *c, size_t back)
{
	pthread_mutex_lock(&c->lock);
	c->back = back;
	pthread_mutex_unlock(&c->lock);
}

static int copy_front(struct session *s, struct copying *c)
{
	size_t first, n;
	while ((n = take_front(c, &first)) > 0) {
		int r = pages_copy_outside(s, c->v, c->beside.pages_fd, c->chunks + first, n);
		if (r < 0) {
			set_back(c, c->front);
			return r;
		}
	}
	return 0;
}

static void copy_back(struct copying *c)
{
	size_t first, n;
	while ((n = take_back(c, &first)) > 0)
		if (!pages_beside_copy(&c->beside, c->chunks + first, n)) {
			set_back(c, first + n);
			return;
		}
}

static int copy_one_end(struct session *s, void *arg, size_t i)
{
	if (i == 0)
		return copy_front(s, arg);
	copy_back(arg);
	return 0;
}

int pages_copy_by_both(struct session *s, const struct vma_dump *v, int pages_fd,
	const struct page_chunk *chunks, size_t n)
{
	const uint64_t size = chunks[n - 1].offset + chunks[n - 1].len;
	if (size < LARGE || s->is_lane)
		return pages_copy_outside(s, v, pages_fd, chunks, n);
	struct copying c = {.v = v, .chunks = chunks, .back = n, .lock = PTHREAD_MUTEX_INITIALIZER};
	pages_beside_begin(&c.beside, v, pages_fd, size);
	int r = c.beside.uffd < 0 ? 0 : share_out_large(s, 2, copy_one_end, &c);
	if (r >= 0) /* what is left of it, or all */
		r = copy_front(s, &c);
	pages_beside_end(&c.beside);
	return r;
}
