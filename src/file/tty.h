/*
 * Terminals, as the files of src/file that deal with them see them. Internal to src/file.
 *
 * tty_kind.c     which device numbers are which kind
 * tty_params.c   termios, window size, owner: of a descriptor, to and from tty-info.img
 * tty.c          open files: dump
 * tty_settle.c   after all tasks: pairs, sessions, what must be refused
 * pty_queue.c    bytes that wait in a pseudo terminal: taken out, put back
 * pty_data.c     the same in images: tty-data.img
 * tty_restore.c  open files: restore
 * tty_make.c     pseudo terminals made again
 * tty_ctl.c      controlling terminals and foreground groups: restore
 */
#ifndef FERMATA_FILE_TTY_H
#define FERMATA_FILE_TTY_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "file/dumping.h"
#include "file/restoring.h"
#include "tty.pb-c.h"

/* --- tty_kind.c --- */

/* Ids of tty-info.img are 2 * index, plus 1 for a master; these indices stand for other kinds. */
enum {
	PTY_INDEX_MAX = 1000,
	TTY_INDEX_CONSOLE = 1002,
	TTY_INDEX_VT = 1004,
	TTY_INDEX_CTTY = 1006,
	TTY_INDEX_SERIAL = 1010,
	TTY_INDEX_EXTERNAL = 1013,
	TTY_INDEX_EXTERNAL_MAX = 1076,
	TTY_INDEX_MAX = 1088, /* the reference takes no higher id; those above 1076 are free */
};

struct tty_kind {
	const char *name; /* "a console"; NULL: not a terminal at all */
	TtyType type;	  /* UNKNOWN: a terminal that cannot be dumped */
	bool master;
};

struct tty_kind tty_kind_of(unsigned major, unsigned minor);

/* --- tty_params.c: results are negative errnos without a failure --- */

/* termios, termios_locked and winsize; for a master those of its slave. -EIO: hung up. */
int tty_params_read(struct arena *a, int fd, TtyInfoEntry *e);
bool tty_params_sane(const TtyInfoEntry *e);
int tty_termios_apply(int fd, const TtyInfoEntry *e);
int tty_winsize_apply(int fd, const TtyInfoEntry *e);

/* --- tty.c, tty_settle.c --- */

/* One record of tty-info.img, and who has it open. */
struct tty_dump {
	TtyInfoEntry *info;
	struct file_source from; /* its first descriptor */
	const char *link;
	uint64_t device; /* what stat calls tty_nr: of a master, that of its slave */
	uint64_t devpts; /* the instance of a pseudo terminal; 0: not known */
	bool master;
	bool hung_up;	       /* all of its files are */
	bool slaves_closed;    /* of a master: there were slaves, and none is left */
	bool no_peer;	       /* of a master: its slave cannot be opened through it */
	struct tty_dump *peer; /* the other end */
	VEC(struct dumped_file *) files;
};

struct ttys_dump {
	VEC(struct tty_dump *) all;
	unsigned n_external, n_spare; /* indices given out */
};

extern const struct file_type tty_type;

/* After the last task was collected: what only all of them together tell. */
int tty_dump_settle(struct file_dump *d);

/* --- pty_queue.c: results are negative errnos without a failure --- */

enum { PTY_QUEUE_MAX = 65536 };

struct pty_bytes {
	size_t len;
	bool inexact; /* some byte cannot be typed under these termios */
	char data[PTY_QUEUE_MAX];
};

enum pty_flow {
	PTY_FLOWS,
	PTY_STOPPED_BY_CHAR,  /* the user typed ^S */
	PTY_STOPPED_BY_IOCTL, /* TCXONC, TCOOFF */
};

/*
 * What waits in a pair: output for whoever reads the master, input for whoever reads the slave,
 * as it would have to be typed.
 */
struct pty_queues {
	enum pty_flow flow;
	struct pty_bytes output, input;
};

/*
 * Takes everything out and puts it back at once. slave must be a descriptor of our own, with
 * O_NONBLOCK. Not for a task that must survive being killed: packet mode, termios and the queues
 * are changed meanwhile.
 */
int pty_queues_copy(int master, int slave, struct pty_queues *ret);
/* Into a new pair, whose termios are then those of info. */
int pty_queues_fill(int master, int slave, const TtyInfoEntry *info, const struct pty_queues *q);

/* --- pty_data.c --- */
/* Reading input may make signals, like that of a ^C: they are read after this. */
int pty_data_write(struct file_dump *d);

/* --- tty_restore.c, tty_make.c, tty_ctl.c --- */

/* A record of tty-info.img. */
struct tty {
	const TtyInfoEntry *info;
	bool master;
	struct tty *peer;	       /* the other end */
	const TtyDataEntry *data;      /* what waited to be read from it */
	VEC(struct open_file *) files; /* those that some table has */
	bool settled;		       /* has its parameters */
	bool master_refused;	       /* of an orphan: by the client */
	int fd; /* a descriptor that is in no table, to make it a controlling terminal; -1 */
};

struct tty_set {
	struct id_map by_id;
	VEC(struct tty *) all;
	bool signals_blocked;
	sigset_t old_signals;
};

int tty_check(struct file_set *f, struct open_file *o);
int tty_create(struct file_set *f, struct open_file *o, int *ret_fd);
const char *tty_inherit_key(struct file_set *f, const struct open_file *o);

/* Has neither a master in the images nor was hung up: its other end is not the tree's. */
bool tty_is_orphan(const struct tty *t);
/*
 * An orphan, or the terminal of a leader that has it nowhere open, that becomes a new pseudo
 * terminal, whose master the client of the service gets.
 */
bool tty_is_for_client(const struct file_set *f, const struct tty *t);
/* Gives it its parameters, once. */
int tty_settle(struct file_set *f, struct tty *t, int fd);
/* Flags of open(2) that mean the same again. */
int tty_open_flags(const struct open_file *o);

/* All pseudo terminals of the images, with all that have them open. */
int pty_make_all(struct file_set *f);
/* Lets go of t->fd, so that the master does not see a slave being closed that never was open. */
void pty_let_go(struct tty *t);

#endif
