/* See set.h. */
#include "set.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/log.h"
#include "cli/options.h"
#include "restore/restore.h"

enum { PAGE = 4096, PAGES_MAX = 16384, PAGE_ENTRY = 4 + PAGE };

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

bool set_next(const uint8_t **p, const uint8_t *end, struct set_file *ret)
{
	while (end - *p > 5) {
		const uint8_t *name = *p + 1;
		size_t len = **p, left = (size_t)(end - name);
		uint64_t id;
		if (len + 4 > left)
			return false;
		ret->data = name + len + 4;
		ret->size = u32_at(name + len);
		if (ret->size > left - len - 4)
			ret->size = (uint32_t)(left - len - 4);
		*p = ret->data + ret->size;
		if (len >= sizeof(ret->name))
			continue;
		memcpy(ret->name, name, len);
		ret->name[len] = '\0';
		if (image_parse_name(ret->name, &ret->type, &id))
			return true;
	}
	return false;
}

uint8_t *set_put(uint8_t *to, const char *name, const void *data, size_t size)
{
	uint32_t size32 = (uint32_t)size;
	size_t len = strlen(name);
	*to++ = (uint8_t)len;
	to = mempcpy(to, name, len);
	to = mempcpy(to, &size32, sizeof(size32));
	return size ? mempcpy(to, data, size) : to;
}

void set_dir_make(struct set_dir *d)
{
	const char *tmp = getenv("TMPDIR");
	*d = (struct set_dir){0};
	snprintf(d->path, sizeof(d->path), "%s/fuzz-XXXXXX", tmp ? tmp : "/tmp");
	MUST(mkdtemp(d->path));
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(d->fd >= 0);
}

static void write_pages(int fd, const uint8_t *data, uint32_t size)
{
	uint32_t pages = size < 4 ? 0 : u32_at(data) % PAGES_MAX;
	MUST(ftruncate(fd, (off_t)pages * PAGE) == 0);
	for (uint32_t at = 4; size >= PAGE_ENTRY && at <= size - PAGE_ENTRY; at += PAGE_ENTRY) {
		uint32_t page = u32_at(data + at);
		if (page < pages)
			MUST(pwrite(fd, data + at + 4, PAGE, (off_t)page * PAGE) == PAGE);
	}
}

static void write_file(struct set_dir *d, const struct set_file *f)
{
	_cleanup_close_ int fd =
		openat(d->fd, f->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0);
	if (f->type == IMG_PAGES)
		write_pages(fd, f->data, f->size);
	else
		MUST(write(fd, f->data, f->size) == (ssize_t)f->size);
}

static void drop(struct set_dir *d, size_t i)
{
	unlinkat(d->fd, d->files[i].name, 0);
	free(d->files[i].data);
	d->files[i] = d->files[--d->n];
}

static void put(struct set_dir *d, const struct set_file *f)
{
	size_t i = 0;
	while (i < d->n && strcmp(d->files[i].name, f->name) != 0)
		i++;
	if (i == SET_FILES_MAX)
		return;
	if (i == d->n)
		d->files[d->n++].data = NULL;
	else if (d->files[i].size == f->size && !memcmp(d->files[i].data, f->data, f->size)) {
		d->files[i].wanted = true;
		return;
	}
	free(d->files[i].data);
	snprintf(d->files[i].name, sizeof(d->files[i].name), "%s", f->name);
	d->files[i].data = malloc(f->size + 1);
	MUST(d->files[i].data);
	memcpy(d->files[i].data, f->data, f->size);
	d->files[i].size = f->size;
	d->files[i].wanted = true;
	write_file(d, f);
}

void set_dir_fill(struct set_dir *d, const uint8_t *data, size_t size)
{
	struct set_file f;
	for (size_t i = 0; i < d->n; i++)
		d->files[i].wanted = false;
	for (const uint8_t *p = data; set_next(&p, data + size, &f);)
		put(d, &f);
	for (size_t i = d->n; i-- > 0;)
		if (!d->files[i].wanted)
			drop(d, i);
}

void set_dir_remove(struct set_dir *d)
{
	while (d->n)
		drop(d, d->n - 1);
	close(d->fd);
	rmdir(d->path);
}

/* As crit check has it, but with all that may be asked for, so that nothing is passed over. */
static void ask_for_all(struct options *o)
{
	options_init(o);
	o->action = ACTION_RESTORE;
	o->file_locks = o->shell_job = o->tcp_established = o->ext_unix_sk = o->link_remap = true;
}

static int run(const char *path, bool explain)
{
	struct session s;
	struct options o;
	fuzz_session(&s);
	ask_for_all(&o);
	o.explain = explain;
	s.opt = &o;
	int err = image_dir_open(&s, path, &s.images);
	if (err >= 0)
		err = explain ? restore_run(&s) : restore_check_images(&s);
	MUST(err >= 0 || *failure_text(&s, err));
	image_dir_close(s.images);
	session_release(&s);
	return err;
}

/* The tool ends after a restore, so what it opened meanwhile is left to that: not here. */
int set_restore(const char *path)
{
	int first = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	MUST(first >= 0);
	int err = run(path, false);
	if (err >= 0)
		err = run(path, true);
	close_range((unsigned)first, ~0u, 0);
	return err;
}
