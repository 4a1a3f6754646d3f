/*
 * The sums of the files of a directory.  A portion of a few chunks is a piece of work; it is read
 * into a buffer that stays in the cache.  To map it takes as long, and an error of the disk would be
 * a signal.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "image/checksum.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/share.h"

enum {
	SMALL_CHUNK = 4 << 10,
	LARGE_CHUNK = 1 << 20,
	SMALL_FILE = 1 << 20, /* at most, has small chunks */
	PORTION = 4 << 20,
	BUFFER_LEN = 128 << 10,
};

size_t checksums_count(const struct summed_file *file)
{
	if (!file->size)
		return 0;
	return (size_t)(file->size / file->chunk_size + (file->size % file->chunk_size != 0));
}

uint64_t checksums_chunk_size(uint64_t file_size)
{
	return file_size <= SMALL_FILE ? SMALL_CHUNK : LARGE_CHUNK;
}

uint64_t checksums_of(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

/* --- which files --- */

static int add_file(
	struct session *s, const struct image_dir *dir, const char *name, summed_files *ret)
{
	size_t len = strlen(name);
	struct stat st;
	if (len < 4 || strcmp(name + len - 4, ".img") != 0 ||
		strcmp(name, image_kind(IMG_FERMATA_CHECKSUMS)->pattern) == 0)
		return 0;
	if (fstatat(dir->fd, name, &st, 0) < 0)
		return fail(s, errno, "examining %s/%s", dir->path, name);
	if (!S_ISREG(st.st_mode))
		return 0;
	uint64_t size = (uint64_t)st.st_size;
	*vec_push(&s->arena, ret) = (struct summed_file){
		.name = arena_strdup(&s->arena, name),
		.size = size,
		.chunk_size = checksums_chunk_size(size),
	};
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct summed_file *)a)->name, ((const struct summed_file *)b)->name);
}

int checksums_list(struct session *s, const struct image_dir *dir, summed_files *ret)
{
	_cleanup_close_ int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_dir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return fail(s, errno, "reading the directory %s", dir->path);
	fd = -1; /* it is d's */
	int r = 0, err = 0;
	for (struct dirent *e; r >= 0 && (e = next_entry(d, &err));)
		r = add_file(s, dir, e->d_name, ret);
	if (err < 0)
		return fail(s, err, "reading the directory %s", dir->path);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return r;
}

/* --- what is in them --- */

struct portion {
	struct summed_file *file;
	size_t first, n; /* chunks */
};

struct computing {
	const struct image_dir *dir;
	VEC(struct portion) portions;
};

int checksums_of_part(int fd, uint64_t at, uint64_t len, uint64_t *ret)
{
	char buffer[BUFFER_LEN];
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	while (len) {
		size_t want = len < BUFFER_LEN ? (size_t)len : BUFFER_LEN;
		ssize_t n = pread(fd, buffer, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EBADMSG;
		XXH3_64bits_update(&state, buffer, (size_t)n);
		at += (uint64_t)n;
		len -= (uint64_t)n;
	}
	*ret = XXH3_64bits_digest(&state);
	return 0;
}

static int sum_chunk(
	struct session *s, const struct computing *c, int fd, struct summed_file *file, size_t i)
{
	uint64_t at = i * file->chunk_size, left = file->size - at;
	if (file->known && file->known[i])
		return 0;
	int r = checksums_of_part(
		fd, at, left < file->chunk_size ? left : file->chunk_size, &file->sums[i]);
	return r < 0 ? fail(s, r, "%s/%s: offset %ju: cannot be read", c->dir->path, file->name,
			       (uintmax_t)at)
		     : 0;
}

static int sum_portion(struct session *s, void *arg, size_t i)
{
	const struct computing *c = arg;
	const struct portion *p = &c->portions.v[i];
	_cleanup_close_ int fd = openat(c->dir->fd, p->file->name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(s, errno, "opening %s/%s", c->dir->path, p->file->name);
	int r = 0;
	for (size_t k = 0; k < p->n && r >= 0; k++)
		r = sum_chunk(s, c, fd, p->file, p->first + k);
	return r;
}

static bool is_known(const struct portion *p)
{
	for (size_t i = p->first; i < p->first + p->n; i++)
		if (!p->file->known || !p->file->known[i])
			return false;
	return true;
}

int checksums_compute(struct session *s, const struct image_dir *dir, summed_files *files)
{
	struct computing c = {.dir = dir};
	uint64_t bytes = 0;
	vec_for_each (files, f) {
		size_t n = checksums_count(f);
		size_t step = n && f->chunk_size < PORTION ? PORTION / f->chunk_size : 1;
		f->sums = f->known ? f->sums : arena_array(&s->arena, uint64_t, n);
		for (size_t i = 0; i < n; i += step) {
			struct portion p = {f, i, n - i < step ? n - i : step};
			if (is_known(&p))
				continue;
			*vec_push(&s->arena, &c.portions) = p;
			bytes += p.n * f->chunk_size;
		}
	}
	return (bytes < PORTION ? share_out : share_out_large)(s, c.portions.n, sum_portion, &c);
}
