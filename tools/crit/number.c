/* Integers as crit shows them: flags by name, device numbers, words of dictionaries. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "crit.h"

struct name {
	const char *text;
	uint64_t value;
};

static const struct name mmap_prot[] = {
	{"PROT_READ", 0x1}, {"PROT_WRITE", 0x2}, {"PROT_EXEC", 0x4}, {NULL, 0}};

static const struct name mmap_flags[] = {{"MAP_SHARED", 0x1}, {"MAP_PRIVATE", 0x2},
	{"MAP_DROPPABLE", 0x8}, {"MAP_ANON", 0x20}, {"MAP_GROWSDOWN", 0x100}, {NULL, 0}};

static const struct name mmap_status[] = {{"VMA_AREA_NONE", 0}, {"VMA_AREA_REGULAR", 1u << 0},
	{"VMA_AREA_STACK", 1u << 1}, {"VMA_AREA_VSYSCALL", 1u << 2}, {"VMA_AREA_VDSO", 1u << 3},
	{"VMA_AREA_HEAP", 1u << 5}, {"VMA_FILE_PRIVATE", 1u << 6}, {"VMA_FILE_SHARED", 1u << 7},
	{"VMA_ANON_SHARED", 1u << 8}, {"VMA_ANON_PRIVATE", 1u << 9}, {"VMA_AREA_SYSVIPC", 1u << 10},
	{"VMA_AREA_SOCKET", 1u << 11}, {"VMA_AREA_VVAR", 1u << 12}, {"VMA_AREA_AIORING", 1u << 13},
	{"VMA_AREA_MEMFD", 1u << 14}, {"VMA_AREA_SHSTK", 1u << 15}, {"VMA_AREA_UPROBES", 1u << 17},
	{"VMA_UNSUPP", 1u << 31}, {NULL, 0}};

static const struct name rfile_flags[] = {{"O_WRONLY", 01}, {"O_RDWR", 02}, {"O_CREAT", 0100},
	{"O_EXCL", 0200}, {"O_NOCTTY", 0400}, {"O_TRUNC", 01000}, {"O_APPEND", 02000},
	{"O_NONBLOCK", 04000}, {"O_DSYNC", 010000}, {"FASYNC", 020000}, {"O_DIRECT", 040000},
	{"O_LARGEFILE", 0100000}, {"O_DIRECTORY", 0200000}, {"O_NOFOLLOW", 0400000},
	{"O_NOATIME", 01000000}, {"O_CLOEXEC", 02000000}, {NULL, 0}};

static const struct name seals[] = {{"F_SEAL_SEAL", 0x1}, {"F_SEAL_SHRINK", 0x2},
	{"F_SEAL_GROW", 0x4}, {"F_SEAL_WRITE", 0x8}, {"F_SEAL_FUTURE_WRITE", 0x10}, {NULL, 0}};

static const struct name pagemap[] = {
	{"PE_PARENT", 0x1}, {"PE_LAZY", 0x2}, {"PE_PRESENT", 0x4}, {NULL, 0}};

static const struct name task_state[] = {{"Alive", 1}, {"Zombie", 3}, {"Stopped", 6}, {NULL, 0}};

static const struct name sk_family[] = {
	{"UNIX", 1}, {"INET", 2}, {"INET6", 10}, {"NETLINK", 16}, {"PACKET", 17}, {NULL, 0}};

static const struct name sk_type[] = {
	{"STREAM", 1}, {"DGRAM", 2}, {"RAW", 3}, {"SEQPACKET", 5}, {"PACKET", 10}, {NULL, 0}};

static const struct name sk_state[] = {{"ESTABLISHED", 1}, {"SYN_SENT", 2}, {"SYN_RECV", 3},
	{"FIN_WAIT1", 4}, {"FIN_WAIT2", 5}, {"TIME_WAIT", 6}, {"CLOSE", 7}, {"CLOSE_WAIT", 8},
	{"LAST_ACK", 9}, {"LISTEN", 10}, {NULL, 0}};

static const struct name sk_proto[] = {
	{"IP", 0}, {"TCP", 6}, {"UDP", 17}, {"UDPLITE", 136}, {NULL, 0}};

/* Maps by the name of presentation.c; dictionaries by that of the field. */
static const struct {
	const char *name;
	const struct name *names;
} tables[] = {
	{"mmap.prot", mmap_prot},
	{"mmap.flags", mmap_flags},
	{"mmap.status", mmap_status},
	{"rfile.flags", rfile_flags},
	{"seals.flags", seals},
	{"pmap.flags", pagemap},
	{"task_state", task_state},
	{"family", sk_family},
	{"type", sk_type},
	{"state", sk_state},
	{"proto", sk_proto},
};

static const struct name *table_of(const struct presentation *how)
{
	const char *key = how->kind == PRESENT_DICT ? how->field : how->map;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		if (strcmp(tables[i].name, key) == 0)
			return tables[i].names;
	return NULL;
}

static void flags_to_text(const struct name *names, uint64_t value, char text[static NUMBER_MAX])
{
	size_t used = 0;
	text[0] = '\0';
	for (; names->text; names++)
		if (names->value && (value & names->value)) {
			used += (size_t)snprintf(text + used, NUMBER_MAX - used, "%s%s",
				used ? " | " : "", names->text);
			value &= ~names->value;
		}
	if (value)
		snprintf(text + used, NUMBER_MAX - used, "%s0x%" PRIx64, used ? " | " : "", value);
}

bool number_to_text(const struct presentation *how, uint64_t value, char text[static NUMBER_MAX])
{
	const struct name *names;
	switch (how->kind) {
	case PRESENT_HEX:
		snprintf(text, NUMBER_MAX, "0x%" PRIx64, value);
		return true;
	case PRESENT_DEV:
		snprintf(text, NUMBER_MAX, "%" PRIu64 ":%" PRIu64, value >> 20, value & 0xfffff);
		return true;
	case PRESENT_ODEV:
		snprintf(text, NUMBER_MAX, "%u:%u", major(value), minor(value));
		return true;
	case PRESENT_FLAGS:
		flags_to_text(table_of(how), value, text);
		return true;
	case PRESENT_DICT:
		for (names = table_of(how); names->text; names++)
			if (names->value == value) {
				snprintf(text, NUMBER_MAX, "%s", names->text);
				return true;
			}
		return false;
	default:
		return false;
	}
}

/* A number in any base, signed or not, and nothing else. */
static bool plain_number(const char *text, size_t len, uint64_t *ret)
{
	char copy[64], *end;
	if (!len || len >= sizeof(copy) || isspace((unsigned char)text[0]))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	/* Python's way: a leading zero means no octal. */
	bool hex = strpbrk(copy, "xX") != NULL;
	errno = 0;
	*ret = strtoull(copy, &end, hex ? 16 : 10);
	return !*end && errno == 0;
}

static bool word_value(const struct name *names, const char *word, size_t len, uint64_t *ret)
{
	for (; names && names->text; names++)
		if (strlen(names->text) == len && memcmp(names->text, word, len) == 0) {
			*ret = names->value;
			return true;
		}
	return plain_number(word, len, ret);
}

static bool flags_from_text(const struct name *names, const char *text, uint64_t *ret)
{
	*ret = 0;
	while (*(text += strspn(text, " |"))) {
		size_t len = strcspn(text, " |");
		uint64_t value;
		if (!word_value(names, text, len, &value))
			return false;
		*ret |= value;
		text += len;
	}
	return true;
}

static bool device_from_text(enum presentation_kind kind, const char *text, uint64_t *ret)
{
	const char *colon = strchr(text, ':');
	uint64_t high, low;
	if (!colon || !plain_number(text, (size_t)(colon - text), &high) ||
		!plain_number(colon + 1, strlen(colon + 1), &low))
		return false;
	*ret = kind == PRESENT_DEV ? high << 20 | low : makedev((unsigned)high, (unsigned)low);
	return true;
}

bool number_from_text(const struct presentation *how, const char *text, uint64_t *ret)
{
	if (how && (how->kind == PRESENT_DEV || how->kind == PRESENT_ODEV) &&
		device_from_text(how->kind, text, ret))
		return true;
	if (how && how->kind == PRESENT_FLAGS)
		return flags_from_text(table_of(how), text, ret);
	const struct name *names = how && how->kind == PRESENT_DICT ? table_of(how) : NULL;
	return word_value(names, text, strlen(text), ret);
}
