/*
 * crit report DIR: a checkpoint as one page of HTML that needs nothing else.
 *
 * The page is report.html, which draws what it finds in its own data block; here that block is
 * written: tasks with mappings and descriptors, the connections between these, sizes of images.
 * Two descriptors are connected when they have a link with the same key.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "crit.h"
#include "explore.h"
#include "image/dir.h"
#include "image/pagemap.h"

extern const char crit_report_page[], crit_report_page_end[];

static void member(struct json_writer *w, const char *key, const char *text)
{
	json_write_key(w, key);
	json_write_string(w, text);
}

static void number(struct json_writer *w, const char *key, uint64_t value)
{
	json_write_key(w, key);
	json_write_unsigned(w, value);
}

/* What a reader thinks of memory in; the names are those of the page's legend. */
static const char *vma_kind(const VmaEntry *v)
{
	if (v->status & (VMA_AREA_VDSO | VMA_AREA_VVAR | VMA_AREA_VSYSCALL))
		return "kernel";
	if (v->status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC))
		return "shared";
	if (v->status & VMA_FILE_SHARED)
		return "file data";
	if (v->status & VMA_FILE_PRIVATE)
		return "program and libraries";
	if (v->status & VMA_AREA_STACK || v->flags & 0x100)
		return "stack";
	return v->status & VMA_AREA_HEAP ? "heap" : "anonymous";
}

static uint64_t stored_bytes(const struct pagemap *map, const VmaEntry *v)
{
	uint64_t total = 0, page = image_page_size();
	const struct pagemap_range *r = map->n ? pagemap_find(map, v->start) : NULL;
	for (; r && r < map->ranges + map->n && r->vaddr < v->end; r++) {
		uint64_t start = r->vaddr > v->start ? r->vaddr : v->start;
		uint64_t end = r->vaddr + r->nr_pages * page;
		total += (end < v->end ? end : v->end) - start;
	}
	return total;
}

static int put_mappings(
	struct json_writer *w, struct explorer *x, const struct explored_task *t, const MmEntry *mm)
{
	struct pagemap map = {0};
	int err = mm ? pagemap_load(x->s, x->dir, IMG_PAGEMAP, t->pid, &map) : 0;
	if (err < 0 && err != -ENOENT)
		return err;
	json_write_key(w, "mappings");
	json_write_begin(w, '[');
	for (size_t i = 0; mm && i < mm->n_vmas; i++) {
		const VmaEntry *v = mm->vmas[i];
		if (v->status & (VMA_AREA_VSYSCALL | VMA_AREA_GUARD))
			continue; /* beyond what scripts count exactly; a part of a mapping */
		json_write_begin(w, '{');
		number(w, "start", v->start);
		number(w, "end", v->end);
		member(w, "kind", vma_kind(v));
		member(w, "access",
			arena_printf(&x->s->arena, "%s%s%s", v->prot & 1 ? "r" : "-",
				v->prot & 2 ? "w" : "-", v->prot & 4 ? "x" : "-"));
		member(w, "name", explore_vma(x, v));
		number(w, "stored", stored_bytes(&map, v));
		json_write_end(w, '}');
	}
	json_write_end(w, ']');
	return 0;
}

static const char *address(
	struct arena *a, uint32_t family, size_t n, const uint32_t *words, uint32_t port)
{
	char text[INET6_ADDRSTRLEN] = "*";
	bool v6 = family == AF_INET6;
	if (n >= (v6 ? 4 : 1))
		inet_ntop((int)family, words, text, sizeof(text));
	return arena_printf(a, v6 ? "[%s]:%u" : "%s:%u", text, port);
}

static const char *inet_text(struct arena *a, const InetSkEntry *e)
{
	const char *protocol = e->proto == IPPROTO_TCP	 ? "TCP"
			       : e->proto == IPPROTO_UDP ? "UDP"
							 : "IP";
	const char *from = address(a, e->family, e->n_src_addr, e->src_addr, e->src_port);
	if (!e->dst_port)
		return arena_printf(a, "%s %s", protocol, from);
	return arena_printf(a, "%s %s - %s", protocol, from,
		address(a, e->family, e->n_dst_addr, e->dst_addr, e->dst_port));
}

static const char *file_name(struct explorer *x, const FileEntry *f, uint32_t id)
{
	if (f && f->isk)
		return inet_text(&x->s->arena, f->isk);
	if (f && f->fifo && f->fifo->has_regf_id)
		return explore_file(x, f->fifo->regf_id);
	return explore_file(x, id);
}

static void put_link(struct json_writer *w, struct arena *a, const char *kind, const char *key)
{
	json_write_begin(w, '{');
	member(w, "kind", kind);
	member(w, "key", arena_printf(a, "%s %s", kind, key));
	json_write_end(w, '}');
}

/* Both ends of a pair get the same key: the smaller name first. */
static const char *pair_key(struct arena *a, const char *one, const char *other)
{
	bool swap = strcmp(one, other) > 0;
	return arena_printf(a, "%s %s", swap ? other : one, swap ? one : other);
}

static void put_links(struct json_writer *w, struct explorer *x, const FileEntry *f)
{
	struct arena *a = &x->s->arena;
	json_write_key(w, "links");
	json_write_begin(w, '[');
	if (f && f->pipe)
		put_link(w, a, "pipe", arena_printf(a, "%u", f->pipe->pipe_id));
	else if (f && f->fifo)
		put_link(w, a, "fifo", arena_printf(a, "%u", f->fifo->pipe_id));
	else if (f && f->usk && f->usk->peer)
		put_link(w, a, "unix",
			pair_key(a, arena_printf(a, "%u", f->usk->ino),
				arena_printf(a, "%u", f->usk->peer)));
	else if (f && f->isk && f->isk->dst_port)
		put_link(w, a, "inet",
			pair_key(a,
				address(a, f->isk->family, f->isk->n_src_addr, f->isk->src_addr,
					f->isk->src_port),
				address(a, f->isk->family, f->isk->n_dst_addr, f->isk->dst_addr,
					f->isk->dst_port)));
	else if (f && f->reg && strncmp(f->reg->name, "/dev/", 5) != 0)
		put_link(w, a, "file", arena_printf(a, "%u", f->id));
	json_write_end(w, ']');
}

static const char *detail(struct arena *a, const FileEntry *f)
{
	if (f && f->reg && f->reg->pos)
		return arena_printf(a, "at byte %ju", (uintmax_t)f->reg->pos);
	if (f && f->isk && f->isk->state == 10)
		return "listening";
	if (f && f->efd)
		return arena_printf(a, "count %ju", (uintmax_t)f->efd->counter);
	if (f && f->epfd)
		return arena_printf(a, "watches %zu", f->epfd->n_tfd);
	return "";
}

static int put_files(struct json_writer *w, struct explorer *x, const struct explored_task *t)
{
	FdinfoEntry **fds;
	size_t n;
	int err = explore_fds(x, t, &fds, &n);
	if (err < 0)
		return err;
	json_write_key(w, "files");
	json_write_begin(w, '[');
	for (size_t i = 0; i < n; i++) {
		const FileEntry *f = explore_find_file(x, fds[i]->id);
		const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
			&fd_types__descriptor, f ? f->type : fds[i]->type);
		json_write_begin(w, '{');
		number(w, "fd", fds[i]->fd);
		member(w, "type", v ? v->name : "?");
		member(w, "name", file_name(x, f, fds[i]->id));
		member(w, "detail", detail(&x->s->arena, f));
		put_links(w, x, f);
		json_write_end(w, '}');
	}
	json_write_end(w, ']');
	return 0;
}

static const char *state(const struct explored_task *t)
{
	if (!t->core || !t->core->tc)
		return "helper";
	if (!t->core->thread_core)
		return "dead, not reaped";
	return t->core->tc->has_stop_signo ? "stopped" : "alive";
}

static int put_task(struct json_writer *w, struct explorer *x, const struct explored_task *t)
{
	MmEntry *mm;
	FsEntry *fs;
	int err = explore_mm(x, t, &mm);
	if (err >= 0)
		err = explore_fs(x, t, &fs);
	if (err < 0)
		return err;
	json_write_begin(w, '{');
	number(w, "pid", t->pid);
	number(w, "parent", t->parent);
	number(w, "group", t->pgid);
	number(w, "session", t->sid);
	number(w, "threads", t->entry->n_threads);
	member(w, "name", t->core && t->core->tc ? t->core->tc->comm : "?");
	member(w, "state", state(t));
	member(w, "exe", mm ? explore_file(x, mm->exe_file_id) : "");
	member(w, "cwd", fs ? explore_file(x, fs->cwd_id) : "?");
	err = put_mappings(w, x, t, mm);
	if (err >= 0)
		err = put_files(w, x, t);
	json_write_end(w, '}');
	return err;
}

static int put_images(struct json_writer *w, struct session *s, const struct image_dir *dir)
{
	_cleanup_dir_ DIR *d = opendir(dir->path);
	if (!d)
		return fail(s, errno, "read the directory %s", dir->path);
	json_write_key(w, "images");
	json_write_begin(w, '[');
	int err = 0;
	for (struct dirent *e; (e = next_entry(d, &err));) {
		enum image_type type;
		uint64_t id;
		struct stat st;
		if (!image_parse_name(e->d_name, &type, &id) ||
			fstatat(dir->fd, e->d_name, &st, 0) < 0)
			continue;
		json_write_begin(w, '{');
		member(w, "name", e->d_name);
		number(w, "size", (uint64_t)st.st_size);
		json_write_end(w, '}');
	}
	json_write_end(w, ']');
	return err < 0 ? fail(s, err, "read the directory %s", dir->path) : 0;
}

static int put_data(FILE *out, struct explorer *x)
{
	struct json_writer w = {.out = out, .for_html = true};
	json_write_begin(&w, '{');
	member(&w, "directory", x->dir->path);
	json_write_key(&w, "tasks");
	json_write_begin(&w, '[');
	int err = 0;
	for (size_t i = 0; i < x->tasks.n && err >= 0; i++)
		err = put_task(&w, x, &x->tasks.v[i]);
	json_write_end(&w, ']');
	if (err >= 0)
		err = put_images(&w, x->s, x->dir);
	json_write_end(&w, '}');
	return err;
}

int crit_report(struct crit *c)
{
	static const char mark[] = "@DATA@";
	_cleanup_explorer_ struct explorer x = {0};
	FILE *out;
	int err = explorer_open(c->s, c->dir, &x);
	if (err >= 0)
		err = crit_open_output(c, &out);
	if (err < 0)
		return err;
	/* cppcheck-suppress comparePointers; symbols of one object */
	size_t size = (size_t)(crit_report_page_end - crit_report_page);
	const char *at = memmem(crit_report_page, size, mark, sizeof(mark) - 1);
	const char *rest = at + sizeof(mark) - 1;
	fwrite(crit_report_page, 1, (size_t)(at - crit_report_page), out);
	err = put_data(out, &x);
	fwrite(rest, 1, (size_t)(crit_report_page_end - rest), out);
	return crit_close_output(c, out, err);
}
