/*
 * Which descriptors have the same open file: kcmp(2) tells, and gives an order among others.
 *
 * Only those of one key (device, inode, flags, position, what the type knows) can be the same and
 * are compared.  Of each key there is a row, sorted by the kernel's order.  One descriptor is
 * searched for in it; the many of a table are sorted first, by two threads, and then merged with
 * it.
 *
 * Where that would be many comparisons, the kernel is asked for the identity of all open files of
 * the table (kernel/file_identity.h).  Those found by it are added to the row as they come, and
 * sorted when somebody else is searched for.
 *
 * What must hold: whoever is named by `from` keeps that descriptor until the end of the dump.
 */
#include "file/description.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/share.h"
#include "file/dumping.h"

struct description {
	struct file_source from;
	struct dumped_file *file;
};

struct dumped_file *description_file(const struct description *x)
{
	return x->file;
}

void description_set_file(struct description *x, struct dumped_file *f)
{
	x->file = f;
}

/* The open files of a key, in the kernel's order, and behind them some in none. */
struct row {
	VEC(struct description *) all;
	size_t n_sorted;
};

static uint64_t key_of(struct file_dump *d, struct file_view *v)
{
	return file_own_key(d, v) * UINT64_C(0xbf58476d1ce4e5b9) +
	       v->dev * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)v->st.stx_ino +
	       (uint64_t)(v->pos + 1) * UINT64_C(0xd6e8feb86659fd93) + ((uint64_t)v->flags << 32);
}

static struct row *row_of(struct file_dump *d, uint64_t key)
{
	struct row *row = id_map_get(&d->descriptions, key);
	if (!row) {
		row = arena_new(&d->s->arena, struct row);
		id_map_put(&d->s->arena, &d->descriptions, key, row);
	}
	return row;
}

static int order_of(struct session *s, const struct file_source *a, const struct file_source *b)
{
	return kcmp_files(s, a->task->pid, a->number, b->task->pid, b->number);
}

/* In [low, high).  1: it is the one at *ret_at; 0: it would have to be inserted there. */
static int search(struct session *s, const struct row *row, const struct file_source *from,
	size_t low, size_t high, size_t *ret_at)
{
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = order_of(s, from, &row->all.v[middle]->from);
		if (order < -1)
			return order;
		*ret_at = middle;
		if (order == 0)
			return 1;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*ret_at = low;
	return 0;
}

/* The same in [low, end), for what is likely near `low`: in steps that double. */
static int search_near(struct session *s, const struct row *row, const struct file_source *from,
	size_t low, size_t *ret_at)
{
	size_t high = row->all.n;
	for (size_t step = 1; step <= row->all.n - low; step *= 2) {
		size_t at = low + step - 1;
		int order = order_of(s, from, &row->all.v[at]->from);
		if (order < -1)
			return order;
		*ret_at = at;
		if (order == 0)
			return 1;
		if (order < 0) {
			high = at;
			break;
		}
		low = at + 1;
	}
	return search(s, row, from, low, high, ret_at);
}

struct sorting {
	struct session *s;
	pid_t tid; /* of the thread that sorts */
	int err;
};

static int by_kcmp(const void *a, const void *b, void *arg)
{
	const struct description *x = *(struct description *const *)a;
	const struct description *y = *(struct description *const *)b;
	struct sorting *c = arg;
	int order = c->err || x == y ? 0 : order_of(c->s, &x->from, &y->from);
	if (order < -1)
		c->err = order;
	return c->err ? 0 : order;
}

/* The row of a key, sorted. */
static int sorted_row(struct file_dump *d, uint64_t key, struct row **ret)
{
	struct row *row = *ret = row_of(d, key);
	struct sorting c = {.s = d->s};
	if (row->n_sorted < row->all.n)
		qsort_r(row->all.v, row->all.n, sizeof(*row->all.v), by_kcmp, &c);
	row->n_sorted = row->all.n;
	return c.err;
}

static struct description *make(struct file_dump *d, const struct file_view *v)
{
	struct description *x = arena_new(&d->s->arena, struct description);
	x->from = v->from;
	return x;
}

int description_find(struct file_dump *d, struct file_view *v)
{
	struct row *row;
	size_t at;
	int r = sorted_row(d, key_of(d, v), &row);
	if (r >= 0)
		r = search(d->s, row, &v->from, 0, row->all.n, &at);
	if (r < 0)
		return r;
	if (!r) {
		(void)vec_push(&d->s->arena, &row->all);
		memmove(&row->all.v[at + 1], &row->all.v[at],
			(row->all.n - 1 - at) * sizeof(*row->all.v));
		row->all.v[at] = make(d, v);
		row->n_sorted = row->all.n;
	}
	v->description = row->all.v[at];
	return 0;
}

/* --- many at once --- */

struct member {
	uint64_t key;
	size_t i;	   /* in the order of the table */
	uint64_t identity; /* 0: not known */
	struct file_view *v;
	struct member *same; /* the same open file, by a lower i; NULL: none known */
};

static struct member *first_of(struct member *m)
{
	while (m->same)
		m = m->same;
	return m;
}

static void join(struct member *a, struct member *b)
{
	a = first_of(a);
	b = first_of(b);
	if (a->i < b->i)
		b->same = a;
	else if (b->i < a->i)
		a->same = b;
}

/*
 * Compared as our own copies, each thread by its own tid: the kernel locks who is asked.
 * Notes which are equal.  That finds all of them: a sort knows the order of two neighbours only by
 * having compared them, or both with others that are between them and thus equal too.
 */
static int compare(const void *a, const void *b, void *arg)
{
	struct sorting *c = arg;
	struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;
	if (c->err || x == y)
		return 0;
	int order = kcmp_files(c->s, c->tid, x->v->fd, c->tid, y->v->fd);
	if (order < -1)
		c->err = order;
	else if (order == 0)
		join(x, y);
	return c->err ? 0 : order;
}

/* Members of one key. */
struct group {
	struct member **v, **sorted;
	size_t n;
};

static int sort_half(struct session *s, void *arg, size_t i)
{
	const struct group *g = arg;
	struct sorting c = {.s = s, .tid = gettid()};
	size_t half = g->n / 2;
	qsort_r(g->v + (i ? half : 0), i ? g->n - half : half, sizeof(*g->v), compare, &c);
	return c.err;
}

static int merge_halves(struct session *s, struct group *g)
{
	struct sorting c = {.s = s, .tid = gettid()};
	size_t half = g->n / 2, i = 0, j = half;
	for (size_t k = 0; k < g->n; k++) {
		bool first = j == g->n || (i < half && compare(&g->v[i], &g->v[j], &c) <= 0);
		g->sorted[k] = first ? g->v[i++] : g->v[j++];
	}
	return c.err;
}

enum { WORTH_TWO = 64 };

static int sort_group(struct session *s, struct group *g)
{
	if (g->n >= WORTH_TWO) {
		int r = share_out_large(s, 2, sort_half, g);
		return r < 0 ? r : merge_halves(s, g);
	}
	struct sorting c = {.s = s, .tid = gettid()};
	memcpy(g->sorted, g->v, g->n * sizeof(*g->v));
	qsort_r(g->sorted, g->n, sizeof(*g->sorted), compare, &c);
	return c.err;
}

/* A new row of the old one and the group, both sorted. */
static int merge_group(struct file_dump *d, struct row *row, const struct group *g)
{
	struct row merged = {0};
	struct arena *a = &d->s->arena;
	size_t done = 0, at;
	for (size_t k = 0; k < g->n; k++) {
		struct member *m = first_of(g->sorted[k]);
		if (m->v->description)
			continue; /* its like, a neighbour, was here */
		int r = search_near(d->s, row, &m->v->from, done, &at);
		if (r < 0)
			return r;
		while (done < at)
			*vec_push(a, &merged.all) = row->all.v[done++];
		m->v->description = r ? row->all.v[at] : make(d, m->v);
		if (!r)
			*vec_push(a, &merged.all) = m->v->description;
	}
	while (done < row->all.n)
		*vec_push(a, &merged.all) = row->all.v[done++];
	merged.n_sorted = merged.all.n;
	*row = merged;
	return 0;
}

static int find_group(struct file_dump *d, struct group *g)
{
	if (g->n == 1)
		return description_find(d, g->v[0]->v);
	struct row *row;
	int r = sort_group(d->s, g);
	if (r >= 0)
		r = sorted_row(d, g->v[0]->key, &row);
	if (r >= 0)
		r = merge_group(d, row, g);
	for (size_t i = 0; i < g->n && r >= 0; i++)
		g->v[i]->v->description = first_of(g->v[i])->v->description;
	return r;
}

static int by_key(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->i < y->i ? -1 : x->i > y->i;
}

/* --- by their identity --- */

enum { WORTH_ASKING = 4000 }; /* comparisons that take several times as long */

static size_t to_sort(size_t n)
{
	size_t sum = 0;
	for (size_t k = n; k > 1; k /= 2)
		sum += n;
	return sum;
}

/* Of the members, sorted by key, and in the rows where they would be searched for. */
static size_t comparisons(struct file_dump *d, struct member *const *all, size_t n)
{
	size_t sum = 0;
	for (size_t i = 0, end; i < n; i = end) {
		const struct row *row = id_map_get(&d->descriptions, all[i]->key);
		for (end = i + 1; end < n && all[end]->key == all[i]->key;)
			end++;
		sum += to_sort(end - i);
		if (row && row->n_sorted < row->all.n)
			sum += to_sort(row->all.n);
	}
	return sum;
}

const struct file_identity *identity_of(const struct identities *table, int fd)
{
	size_t low = 0, high = table->all.n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct file_identity *i = &table->all.v[middle];
		if (i->fd == (uint64_t)fd)
			return i;
		if (i->fd < (uint64_t)fd)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Whether all are known now. */
static bool identify(
	struct file_dump *d, struct identities *table, struct member *members, size_t n)
{
	if (!table->asked && file_identities_read(&d->s->arena, table->pidfd, &table->all) < 0)
		table->all.n = 0;
	table->asked = true;
	for (size_t i = 0; i < n; i++) {
		const struct file_identity *of = identity_of(table, members[i].v->from.number);
		if (!of)
			return false;
		members[i].identity = of->file;
	}
	return true;
}

/* Among those of known identity, and those that were met without. */
static int find_identified(struct file_dump *d, struct member *m)
{
	struct description *x = id_map_get(&d->identified, m->identity);
	if (!x) {
		struct row *row = row_of(d, m->key);
		size_t at;
		int r = search(d->s, row, &m->v->from, 0, row->n_sorted, &at);
		if (r < 0)
			return r;
		x = r ? row->all.v[at] : make(d, m->v);
		if (!r)
			*vec_push(&d->s->arena, &row->all) = x;
		id_map_put(&d->s->arena, &d->identified, m->identity, x);
	}
	m->v->description = x;
	return 0;
}

int descriptions_find(
	struct file_dump *d, struct identities *table, struct file_view *const *views, size_t n)
{
	struct member *members = arena_array(&d->s->arena, struct member, n);
	struct member **all = arena_array(&d->s->arena, struct member *, n);
	struct member **sorted = arena_array(&d->s->arena, struct member *, n);
	for (size_t i = 0; i < n; i++) {
		members[i] = (struct member){.key = key_of(d, views[i]), .i = i, .v = views[i]};
		all[i] = &members[i];
	}
	qsort(all, n, sizeof(*all), by_key);
	int r = 0;
	size_t expected = n ? comparisons(d, all, n) * table->n_fds / n : 0;
	if ((table->all.n || expected >= WORTH_ASKING) && identify(d, table, members, n)) {
		for (size_t i = 0; i < n && r >= 0; i++)
			r = find_identified(d, &members[i]);
		return r;
	}
	for (size_t i = 0, end; i < n && r >= 0; i = end) {
		end = i + 1;
		while (end < n && all[end]->key == all[i]->key)
			end++;
		struct group g = {.v = all + i, .sorted = sorted + i, .n = end - i};
		r = find_group(d, &g);
	}
	return r;
}
