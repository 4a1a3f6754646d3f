/* See compare.h. */
#include "compare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "crit.h"
#include "image/pagemap.h"

enum { LONG = 60 }; /* characters of a value that are shown */

void title(struct report *r, const char *text)
{
	r->title = text;
	r->heading = NULL;
}

void heading(struct report *r, const char *text)
{
	r->heading = text;
}

void line(struct report *r, const char *fmt, ...)
{
	if (r->title)
		printf("%s\n", r->title);
	if (r->heading)
		printf("  %s\n", r->heading);
	r->title = r->heading = NULL;
	fputs("    ", stdout);
	va_list ap;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* The value of a field as crit shows it, in the arena; NULL if it is absent. */
static const char *value_text(
	struct session *s, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	char *text = NULL;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	if (!memory)
		return NULL;
	struct json_writer w = {.out = memory, .pretty = true};
	bool present = decode_field(s, &w, m, f);
	if (fclose(memory) != 0)
		present = false;
	/* Without the key, which the path has already. */
	const char *value = present ? strstr(text, "\": ") : NULL;
	const char *copy = value ? arena_strdup(&s->arena, value + 3) : NULL;
	free(text);
	return copy;
}

/* On one line and not too long. */
static const char *brief(struct session *s, const char *text)
{
	if (!text)
		return "(none)";
	char *out = arena_alloc(&s->arena, strlen(text) + 4), *to = out;
	for (; *text; text++) {
		if (to > out && *text == ' ' && to[-1] == ' ')
			continue;
		*to++ = *text == '\n' ? ' ' : *text;
	}
	if (to - out > LONG)
		strcpy(out + LONG, "...");
	return out;
}

static const ProtobufCMessage *below(
	const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
	return *(const ProtobufCMessage *const *)field_at(m, f, i);
}

/* Numbers that a dump gives out itself. */
static bool is_id(const char *field)
{
	static const char *const ids[] = {"id", "pipe_id", "inode_id", "regf_id", "tty_info_id",
		"mnt_id", "shmid", "exe_file_id", "fd"};
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		if (strcmp(ids[i], field) == 0)
			return true;
	return false;
}

static void compare_nested(struct report *r, const char *path, const ProtobufCFieldDescriptor *f,
	const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	struct arena *arena = &r->s->arena;
	size_t n[2] = {field_count(a, f), field_count(b, f)};
	if (n[0] != n[1] && f->label == PROTOBUF_C_LABEL_REPEATED)
		line(r, "~ %s: %zu -> %zu entries", path, n[0], n[1]);
	else if (n[0] != n[1])
		line(r, "%c %s", n[0] ? '-' : '+', path);
	for (size_t i = 0; i < n[0] && i < n[1]; i++)
		compare_messages(r,
			f->label == PROTOBUF_C_LABEL_REPEATED
				? arena_printf(arena, "%s[%zu].", path, i)
				: arena_printf(arena, "%s.", path),
			below(a, f, i), below(b, f, i));
}

void compare_messages(
	struct report *r, const char *prefix, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const ProtobufCMessageDescriptor *type = a->descriptor;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		if (is_id(f->name))
			continue;
		const char *path = arena_printf(&r->s->arena, "%s%s", prefix, f->name);
		if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
			compare_nested(r, path, f, a, b);
			continue;
		}
		const char *then = value_text(r->s, a, f), *now = value_text(r->s, b, f);
		bool same = then && now ? strcmp(then, now) == 0 : then == now;
		if (!same)
			line(r, "~ %s: %s -> %s", path, brief(r->s, then), brief(r->s, now));
	}
}

/* The contents of the page at vaddr; false if this dump does not hold them. */
static bool read_page(const struct pagemap *map, int fd, uint64_t vaddr, char *to)
{
	const struct pagemap_range *range = pagemap_find(map, vaddr);
	uint64_t page = image_page_size();
	if (fd < 0 || !range || range->vaddr > vaddr || !(range->flags & PE_PRESENT))
		return false;
	return pread(fd, to, page, (off_t)(range->offset + (vaddr - range->vaddr))) ==
	       (ssize_t)page;
}

/* Pages that only `map` has, and those that differ from the other's. What is in another dump is not
 * gone through: no file bounds how much an image claims of it. */
static void count_pages(const struct pagemap *map, const struct pagemap *other, const int fds[2],
	size_t *ret_only, size_t *ret_changed)
{
	char pages[2][65536];
	uint64_t page = image_page_size();
	for (size_t i = 0; i < map->n; i++) {
		const struct pagemap_range *range = &map->ranges[i];
		uint64_t n_here = range->flags & PE_PRESENT ? range->nr_pages : 0;
		for (uint64_t j = 0; j < n_here; j++) {
			uint64_t vaddr = range->vaddr + j * page;
			if (!read_page(other, fds[1], vaddr, pages[1]))
				++*ret_only;
			else if (read_page(map, fds[0], vaddr, pages[0]) &&
				 memcmp(pages[0], pages[1], page) != 0)
				++*ret_changed;
		}
	}
}

static int load_pages(struct session *s, const struct image_dir *dir, uint32_t pid,
	struct pagemap *map, int *ret_fd)
{
	int err = pagemap_load(s, dir, IMG_PAGEMAP, pid, map);
	if (err < 0)
		*map = (struct pagemap){0};
	else
		err = *ret_fd = pagemap_open_pages(s, dir, map, O_RDONLY);
	return err == -ENOENT ? 0 : err;
}

int compare_pages(
	struct report *r, struct session *s, const struct image_dir *const dirs[2], uint32_t pid)
{
	struct pagemap maps[2];
	_cleanup_close_ int before = -1, after = -1;
	int err = load_pages(s, dirs[0], pid, &maps[0], &before);
	if (err >= 0)
		err = load_pages(s, dirs[1], pid, &maps[1], &after);
	if (err < 0)
		return err;
	size_t gone = 0, come = 0, changed = 0, ignored = 0;
	count_pages(&maps[0], &maps[1], (const int[]){before, after}, &gone, &changed);
	count_pages(&maps[1], &maps[0], (const int[]){after, before}, &come, &ignored);
	if (gone || come || changed)
		line(r, "~ pages: %zu changed, %zu new, %zu gone", changed, come, gone);
	return 0;
}
