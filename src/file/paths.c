/*
 * The dump of files that no descriptor holds: executables, directories and mappings.
 *
 * They are links below /proc/PID, and paths only: they share an entry with any other file of the
 * same inode, mount and path.  A link is opened only if what it leads to has no entry yet; of
 * mappings, what /proc/PID/maps shows tells that.
 */
#include "file/dumping.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file/fd_table.h"
#include "kernel/procfs.h"

struct dumped_file *file_find_path(const struct file_view *v)
{
	vec_for_each (&v->inode->files, f)
		if ((*f)->mnt_id == (int)v->st.stx_mnt_id && strcmp((*f)->link, v->link) == 0 &&
			((*f)->kind == FD_TYPES__REG || (*f)->kind == FD_TYPES__MEMFD))
			return *f;
	return NULL;
}

/* Where one leads, as file_look() would say; link NULL: it has to be opened to tell. */
struct proc_link {
	struct statx st;
	const char *link;
	bool of_parent; /* not looked at: it leads to where its parent's does */
};

/* Those that every task has are read by file_dump_read(). */
static const struct {
	const char *name;
	size_t record_offset;
} usual_links[] = {
	{"exe", offsetof(struct task_record, exe)},
	{"cwd", offsetof(struct task_record, cwd)},
	{"root", offsetof(struct task_record, root)},
};
enum { N_USUAL = sizeof(usual_links) / sizeof(usual_links[0]) };

static struct proc_link read_proc_link(struct session *s, const struct task *t, const char *name)
{
	struct proc_link l = {0};
	char path[PROC_PATH_MAX], text[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/%d/%s", t->pid, name);
	unsigned want = STATX_BASIC_STATS | STATX_MNT_ID;
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, want, &l.st) < 0 ||
		!(l.st.stx_mask & STATX_MNT_ID))
		return l;
	ssize_t n = readlink(path, text, sizeof(text));
	if (n < 0 || (size_t)n == sizeof(text))
		return l;
	text[n] = '\0';
	l.link = arena_memdup(&s->arena, text, (size_t)n + 1);
	return l;
}

/* The kernel's own path is the same. */
static bool is_parents_link(const struct task *t, size_t i)
{
	const size_t at = usual_links[i].record_offset, size = sizeof(struct path_record);
	if (!t->parent || !task_lives(t->parent))
		return false;
	const struct task_record *of = leader(t)->record, *up = leader(t->parent)->record;
	return of && up && !memcmp((const char *)of + at, (const char *)up + at, size);
}

int file_dump_read(struct session *s, struct task *t)
{
	struct proc_link *links = t->links = arena_array(&s->arena, struct proc_link, N_USUAL);
	for (size_t i = 0; i < N_USUAL; i++)
		if (is_parents_link(t, i))
			links[i].of_parent = true;
		else
			links[i] = read_proc_link(s, t, usual_links[i].name);
	return fd_table_list(s, t);
}

static struct proc_link usual_link(const struct task *t, size_t i)
{
	struct proc_link *links = t->links;
	if (links[i].of_parent)
		links[i] = usual_link(t->parent, i);
	return links[i];
}

static struct proc_link proc_link_of(struct session *s, const struct task *t, const char *name)
{
	for (size_t i = 0; i < N_USUAL && t->links; i++)
		if (!strcmp(usual_links[i].name, name))
			return usual_link(t, i);
	return read_proc_link(s, t, name);
}

/* A file that has an entry: its inode, mount and path tell, and need no descriptor. */
static struct dumped_file *find_known_path(struct file_dump *d, struct proc_link l)
{
	if (!l.link)
		return NULL;
	const struct file_view v = {.path_only = true,
		.st = l.st,
		.link = l.link,
		.inode = file_inode(
			d, makedev(l.st.stx_dev_major, l.st.stx_dev_minor), l.st.stx_ino)};
	return file_find_path(&v);
}

static int dump_path(struct file_dump *d, struct task *t, const char *proc_link, uint32_t *ret_id,
	uint32_t *ret_type, struct statx *ret_st)
{
	const struct proc_link l = proc_link_of(d->s, t, proc_link);
	struct dumped_file *f = find_known_path(d, l);
	if (f) {
		*ret_st = l.st;
		*ret_type = f->kind;
		*ret_id = f->id;
		return 0;
	}
	struct file_source from = {
		.task = t, .link = arena_strdup(&d->s->arena, proc_link), .number = -1};
	_cleanup_close_ int fd = proc_open_pid(d->s, t->pid, proc_link, O_PATH);
	if (fd < 0)
		return fail(d->s, fd, "pid %d: open /proc/%d/%s", t->vpid, t->pid, proc_link);
	struct file_view v = {
		.from = from, .fd = fd, .path_only = true, .st = l.st, .link = l.link};
	v.dev = makedev(l.st.stx_dev_major, l.st.stx_dev_minor);
	int r = file_examine(d, &v);
	if (r >= 0)
		r = file_dump_view(d, &v, &f);
	if (r < 0)
		return r;
	*ret_st = v.st;
	*ret_type = f->kind;
	*ret_id = f->kind == FD_TYPES__UND ? 0 : f->id;
	return 0;
}

int file_dump_path(struct file_dump *d, struct task *t, const char *proc_link, uint32_t *ret_id,
	uint32_t *ret_type)
{
	struct statx st;
	return dump_path(d, t, proc_link, ret_id, ret_type, &st);
}

/* --- mappings: by what maps shows, without opening them --- */

struct mapped_file {
	struct mapped_file *next;
	dev_t dev;
	uint64_t ino;
	const char *name;
	uint32_t id, type;
	struct mapping_kind kind;
};

/* Whose memory has a life of its own; that of /dev/zero and its like (mem(4)) has none. */
static bool is_device(const struct statx *st)
{
	return S_ISCHR(st->stx_mode) && st->stx_rdev_major != MEM_MAJOR;
}

static bool is_protected(const struct statx *st)
{
	return st->stx_nlink && st->stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND);
}

int file_dump_mapping(struct file_dump *d, struct task *t, const struct vma_info *vma,
	uint32_t *ret_id, uint32_t *ret_type, struct mapping_kind *ret_kind)
{
	uint64_t key = (uint64_t)vma->dev * UINT64_C(0x9e3779b97f4a7c15) ^ vma->ino;
	struct mapped_file *first = id_map_get(&d->mapped, key), *m = first;
	while (m && (m->dev != vma->dev || m->ino != vma->ino || strcmp(m->name, vma->name) != 0))
		m = m->next;
	if (!m) {
		m = arena_new(&d->s->arena, struct mapped_file);
		*m = (struct mapped_file){
			.next = first, .dev = vma->dev, .ino = vma->ino, .name = vma->name};
		char link[80];
		snprintf(link, sizeof(link), "map_files/%lx-%lx", (unsigned long)vma->start,
			(unsigned long)vma->end);
		struct statx st = {0};
		int r = dump_path(d, t, link, &m->id, &m->type, &st);
		if (r < 0)
			return r;
		m->kind = (struct mapping_kind){
			.device = is_device(&st), .protected = is_protected(&st)};
		id_map_put(&d->s->arena, &d->mapped, key, m);
	}
	*ret_id = m->id;
	*ret_type = m->type;
	*ret_kind = m->kind;
	return 0;
}
