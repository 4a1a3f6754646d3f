/*
 * The build-id of ELF files: the note NT_GNU_BUILD_ID of the first PT_NOTE segment (elf(5)).
 *
 * Only the first MiB is looked at, most often only its first page.  In the image its bytes are packed
 * into u32s, little-endian, zero-padded.  A file that is no ELF file, or has no such note, has none:
 * that is no error.
 */
#include "file/build_id.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "file/dumping.h"
#include "file/file_lock.h"

enum { HEAD = 1 << 20, NOTES_MAX = 64 * 1024, BUILD_ID_MAX = 512, BEGINNING = 2048 };

struct elf_file {
	int fd;
	size_t n; /* bytes of its beginning that are here */
	char beginning[BEGINNING];
};

struct note_area {
	uint64_t offset, size;
};

static bool read_at(const struct elf_file *f, void *to, size_t len, uint64_t offset)
{
	if (offset > HEAD || len > HEAD - offset)
		return false;
	if (offset + len > f->n)
		return pread(f->fd, to, len, (off_t)offset) == (ssize_t)len;
	memcpy(to, f->beginning + offset, len);
	return true;
}

/* The next PT_NOTE segment from *at on; modern linkers make several. */
#define DEFINE_FIND_NOTES(bits)                                                        \
	static bool find_notes##bits(                                                  \
		const struct elf_file *f, unsigned *at, struct note_area *ret)         \
	{                                                                              \
		Elf##bits##_Ehdr head;                                                 \
		if (!read_at(f, &head, sizeof(head), 0) ||                            \
			head.e_phentsize != sizeof(Elf##bits##_Phdr))                  \
			return false;                                                  \
		while (*at < head.e_phnum) {                                           \
			Elf##bits##_Phdr segment;                                      \
			if (!read_at(f, &segment, sizeof(segment),                    \
				    head.e_phoff + (*at)++ * sizeof(segment)))         \
				return false;                                          \
			if (segment.p_type != PT_NOTE)                                 \
				continue;                                              \
			*ret = (struct note_area){segment.p_offset, segment.p_filesz}; \
			return true;                                                   \
		}                                                                      \
		return false;                                                          \
	}
DEFINE_FIND_NOTES(32)
DEFINE_FIND_NOTES(64)

static bool find_note_area(const struct elf_file *f, unsigned *at, struct note_area *ret)
{
	unsigned char ident[EI_CLASS + 1];
	if (!read_at(f, ident, sizeof(ident), 0) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return false;
	return ident[EI_CLASS] == ELFCLASS64
		       ? find_notes64(f, at, ret)
		       : ident[EI_CLASS] == ELFCLASS32 && find_notes32(f, at, ret);
}

static size_t search_notes(
	const struct elf_file *f, struct note_area area, unsigned char id[static BUILD_ID_MAX])
{
	if (area.size > NOTES_MAX)
		return 0;
	_cleanup_free_ char *notes = malloc(area.size ? area.size : 1);
	if (!notes || !read_at(f, notes, area.size, area.offset))
		return 0;
	Elf64_Nhdr note; /* the same for both classes */
	for (uint64_t at = 0; at + sizeof(note) <= area.size;) {
		memcpy(&note, notes + at, sizeof(note));
		uint64_t name = at + sizeof(note);
		uint64_t desc = name + ((note.n_namesz + UINT64_C(3)) & ~UINT64_C(3));
		uint64_t end = desc + note.n_descsz;
		if (end > area.size)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
			memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0) {
			if (!note.n_descsz || note.n_descsz > BUILD_ID_MAX)
				return 0;
			memcpy(id, notes + desc, note.n_descsz);
			return note.n_descsz;
		}
		at = (end + 3) & ~UINT64_C(3);
	}
	return 0;
}

/* Returns the length, 0 if there is none. */
static size_t read_build_id(int fd, unsigned char id[static BUILD_ID_MAX])
{
	struct elf_file f = {.fd = fd};
	struct note_area area = {0};
	size_t len = 0;
	ssize_t n = pread(fd, f.beginning, sizeof(f.beginning), 0);
	f.n = n > 0 ? (size_t)n : 0;
	for (unsigned at = 0; !len && find_note_area(&f, &at, &area);)
		len = search_notes(&f, area, id);
	return len;
}

/* --- dump --- */

static void take(struct file_dump *d, struct inode_info *inode, int fd)
{
	unsigned char id[BUILD_ID_MAX];
	size_t len = read_build_id(fd, id);
	inode->build_id_read = true;
	inode->n_build_id = (len + 3) / 4;
	inode->build_id = arena_array(&d->s->arena, uint32_t, inode->n_build_id);
	for (size_t i = 0; i < len; i++)
		inode->build_id[i / 4] |= (uint32_t)id[i] << (8 * (i % 4));
}

static void give(const struct inode_info *inode, RegFileEntry *e)
{
	e->build_id = inode->build_id;
	e->n_build_id = inode->n_build_id;
}

/* One that must be opened for it. */
struct unread {
	struct file_source from;
	struct inode_info *inode;
	RegFileEntry *e;
};

static int open_and_take(struct file_dump *d, void *object)
{
	const struct unread *u = object;
	if (!u->inode->build_id_read) {
		_cleanup_close_ int fd = source_reopen(d, &u->from, O_RDONLY);
		if (fd < 0)
			return fd;
		take(d, u->inode, fd);
	}
	give(u->inode, u->e);
	return 0;
}

int build_id_dump(struct file_dump *d, struct file_view *v, RegFileEntry *e)
{
	struct inode_info *inode = v->inode;
	/* no blocks: nothing to read, or a kernel file that reading may change */
	if (d->s->opt->file_validation != VALIDATE_BUILDID || v->st.stx_size < 5 ||
		!v->st.stx_blocks)
		return 0;
	if (!file_lock_forbids_open(v)) {
		/*
		 * Not by the task's own descriptor, which would leave the time of the access.
		 * Opening is an event for inotify: only once it is sure that there is a dump.
		 */
		struct unread *u = arena_new(&d->s->arena, struct unread);
		*u = (struct unread){v->from, inode, e};
		file_dump_later(d, open_and_take, u);
	}
	return 0;
}

/* --- restore --- */

int build_id_check(
	struct file_set *f, const struct open_file *o, const char *path, const struct stat *st)
{
	const RegFileEntry *e = o->e->reg;
	if (!S_ISREG(st->st_mode))
		return 0;
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	_cleanup_close_ int fd = path_open(f, path, flags | O_NOATIME);
	if (fd == -EPERM) /* the file is somebody else's */
		fd = path_open(f, path, flags);
	unsigned char id[BUILD_ID_MAX + 3] = {0};
	size_t len = fd < 0 ? 0 : read_build_id(fd, id);
	if (!len)
		return 0;
	bool same = (len + 3) / 4 == e->n_build_id;
	for (size_t i = 0; i < e->n_build_id && same; i++)
		same = e->build_id[i] ==
		       ((uint32_t)id[4 * i] | (uint32_t)id[4 * i + 1] << 8 |
			       (uint32_t)id[4 * i + 2] << 16 | (uint32_t)id[4 * i + 3] << 24);
	if (same)
		return 0;
	return fail_remedy(f->s, EINVAL, "put the old one back, or use --file-validation=filesize",
		"%s is another build than at the dump", path);
}
