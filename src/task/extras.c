/*
 * State without a place in the reference's images: an image of our own, fermata-<pid>.img.
 *
 * The reference opens only files it knows, so the file costs it nothing; and without the file a
 * restore is as it would be from the reference's images: everything has its default.  Aspects
 * store into thread.extras (extras_make()) only what differs from that, and plan from it.
 *
 * A file may be left over from an earlier dump into the same directory by us when the reference
 * has overwritten the rest.  Each record names the run it belongs to, as the inventory does.
 *
 * Some properties cannot be set on every kernel, machine or without privilege, and change only
 * speed or accounting: steps made by program_try().  This aspect reports those that failed.
 */
#include "task/extras.h"

#include <string.h>

#include "image/codec.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"

extern const struct aspect extras_aspect;

const char extras_try[] = "try to set";

FermataEntry *extras_make(struct session *s, struct thread *t)
{
	if (!t->extras) {
		t->extras = arena_new(&s->arena, FermataEntry);
		fermata_entry__init(t->extras);
		t->extras->tid = (uint32_t)t->vtid;
		t->extras->run_id = arena_strdup(&s->arena, s->run_id);
	}
	return t->extras;
}

int extras_ask(struct program *p, const char *what, uint64_t option)
{
	return program_may_fail(p, program_step(p, "look for", what, SYS_prctl, imm(option), imm(0),
					   imm(0), imm(0), imm(0)));
}

int extras_write_image(struct session *s, const struct task *t)
{
	_cleanup_image_writer_ struct image_writer w = IMAGE_WRITER_NONE;
	image_writer_init(&w, s->images, IMG_FERMATA, (uint64_t)t->vpid);
	int r = 0;
	for (size_t i = 0; i < t->threads.n && r >= 0; i++)
		if (t->threads.v[i]->extras)
			r = image_write(s, &w, &t->threads.v[i]->extras->base);
	return r < 0 ? r : image_writer_close(s, &w);
}

int extras_load_image(struct session *s, struct task *t)
{
	ProtobufCMessage **all;
	size_t n, at = 0;
	int r = image_read_all(s, IMG_FERMATA, (uint64_t)t->vpid, &all, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		FermataEntry *e = (FermataEntry *)all[i];
		if (!t->tree->run_id || strcmp(e->run_id, t->tree->run_id) != 0) {
			log_info(s, "fermata-%d.img is of another dump and is not used", t->vpid);
			return 0;
		}
		/* written in the order of the threads */
		while (at < t->threads.n && (uint32_t)t->threads.v[at]->vtid != e->tid)
			at++;
		if (at == t->threads.n)
			return fail(s, EBADMSG, "fermata-%d.img: no thread %u, or out of order",
				t->vpid, e->tid);
		t->threads.v[at]->extras = e;
	}
	return 0;
}

/* What the mem stages will try, whose programs nobody can ask later. */
static int extras_check(struct session *s, struct thread *t)
{
	const FermataEntry *e = t->extras;
	bool named = false;
	for (size_t i = 0; e && i < e->n_vmas; i++)
		named |= e->vmas[i]->name != NULL;
	if (named && prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, 0) < 0)
		log_warn(s, "pid %d: this kernel has no names for anonymous memory; they are lost",
			t->vtid);
	if (extra_or(t, memory_merge, false) && prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) < 0)
		log_warn(s, "pid %d: this kernel has no KSM for whole processes; it is lost", t->vtid);
	return 0;
}

static int extras_finish(struct session *s, struct thread *t)
{
	vec_for_each(&t->program.steps, step)
		if (step->what == extras_try && step->result < 0)
			log_warn(s, "pid %d thread %d: its %s could not be restored: %s",
				t->task->vpid, t->vtid, step->object,
				strerror((int)-step->result));
	return 0;
}

const struct aspect extras_aspect = {
	.name = "extras",
	.check = extras_check,
	.finish = extras_finish,
};
