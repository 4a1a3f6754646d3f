/* The mappings of a task: /proc/PID/smaps, or the cheaper /proc/PID/maps. */
#ifndef FERMATA_KERNEL_PROC_MAPS_H
#define FERMATA_KERNEL_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

struct session;

/* The two-letter words of the VmFlags line, one bit each (our numbering, not VM_*). */
enum vma_flag {
	VMF_RD = 0,  /* readable */
	VMF_WR = 1,  /* writable */
	VMF_EX = 2,  /* executable */
	VMF_SH = 3,  /* VM_SHARED: shared and (or once) writable; see vma_info.shared */
	VMF_MR = 4,  /* may become readable */
	VMF_MW = 5,  /* may become writable */
	VMF_ME = 6,  /* may become executable */
	VMF_MS = 7,  /* may share */
	VMF_GD = 8,  /* grows down */
	VMF_PF = 9,  /* pure PFN range */
	VMF_LO = 10, /* locked */
	VMF_IO = 11, /* memory-mapped I/O */
	VMF_SR = 12, /* MADV_SEQUENTIAL */
	VMF_RR = 13, /* MADV_RANDOM */
	VMF_DC = 14, /* MADV_DONTFORK */
	VMF_DE = 15, /* no mremap expansion */
	VMF_LF = 16, /* lock on fault */
	VMF_AC = 17, /* accounted */
	VMF_NR = 18, /* MAP_NORESERVE */
	VMF_HT = 19, /* hugetlb */
	VMF_SF = 20, /* MAP_SYNC */
	VMF_AR = 21, /* architecture */
	VMF_WF = 22, /* MADV_WIPEONFORK */
	VMF_DD = 23, /* MADV_DONTDUMP */
	VMF_BT = 24, /* arm64 branch target identification */
	VMF_SD = 25, /* soft-dirty */
	VMF_MM = 26, /* mixed map */
	VMF_HG = 27, /* MADV_HUGEPAGE */
	VMF_NH = 28, /* MADV_NOHUGEPAGE */
	VMF_MG = 29, /* MADV_MERGEABLE */
	VMF_UM = 30, /* userfaultfd missing */
	VMF_UW = 31, /* userfaultfd write-protect */
	VMF_UI = 32, /* userfaultfd minor */
	VMF_MT = 33, /* arm64 memory tagging */
	VMF_SS = 34, /* shadow stack */
	VMF_DP = 35, /* MAP_DROPPABLE */
	VMF_SL = 36, /* mseal(2) */
	VMF_GU = 37, /* may hold guard regions (6.19) */
	VMF_UNKNOWN = 63,
};

#define VMF(name) (UINT64_C(1) << VMF_##name)

struct vma_info {
	uint64_t start, end; /* bytes */
	uint64_t pgoff;	     /* bytes */
	uint64_t ino;	     /* 0 = no file */
	dev_t dev;
	uint32_t prot; /* PROT_READ | PROT_WRITE | PROT_EXEC */
	bool shared;   /* MAP_SHARED: the 's' of the permission column */
	/*
	 * Never NULL; "" for plain anonymous memory. Newlines are unescaped (nothing else is
	 * escaped). A trailing " (deleted)" is kept, and is only a hint: a file may be called so.
	 * Consecutive VMAs of one name share the pointer.
	 */
	const char *name;

	/* From smaps only; zero from maps. Sizes are bytes. */
	bool has_smaps;
	uint64_t vmflags; /* VMF() bits */
	uint64_t kernel_page_size;
	uint64_t rss, anonymous, swap, private_dirty, locked;
	int protection_key;
};

typedef VEC(struct vma_info) vma_info_vec;

/* Appends to out. 0 or -EINVAL; VMAs before the fault are appended. Takes maps and smaps text. */
int proc_maps_parse(struct arena *a, const char *text, size_t len, vma_info_vec *out);

/*
 * Ascending by start, as the kernel lists them. Without an mm (zombies, kernel threads) nothing is
 * appended, or -ESRCH returned on newer kernels.
 */
int proc_smaps_read(struct session *s, pid_t pid, vma_info_vec *out);
int proc_maps_read(struct session *s, pid_t pid, vma_info_vec *out);

/*
 * The same, without counts of pages where there are hundreds of VMAs, or it is known to take long
 * (many pages): then their flags may come from elsewhere, or another thread reads them, and
 * meanwhile(arg) is called, once. A failure of it is passed on.
 */
typedef int proc_maps_meanwhile(void *arg);
int proc_smaps_read_while(struct session *s, pid_t pid, bool takes_long, vma_info_vec *out,
	proc_maps_meanwhile *meanwhile, void *arg);

/*
 * For many tasks, even small ones: a program for proc_flagged_maps_read() that reads the flags of
 * this one right, to be closed; or a negative errno, without a failure record.
 */
int proc_flags_program(struct session *s, pid_t pid);

/* Like proc_smaps_read(), without counts of pages where the program tells all flags. */
int proc_flagged_maps_read(struct session *s, int program, pid_t pid, vma_info_vec *out);

#endif
