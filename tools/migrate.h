/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What moving a domain to another host takes, grouped by file.
 *
 * The source runs `xlrbd receive` on the destination and talks to it through
 * one ssh:
 *
 *	receive: hello			who I am
 *	migrate: offer			the domain, and how it is to come
 *	receive: ready | error		disks are prepared, or why not
 *	migrate: the stream		of libxl
 *	receive: restored | error
 *	migrate: go			mine is suspended and its disks are still
 *	receive: running | error
 *
 * Before "go" the domain is the source's, who resumes it if anything fails;
 * the destination gives up when the channel ends.  After "go" it is the
 * destination's.  Whoever does not know asks: see departure.c.
 */
#ifndef XLRBD_MIGRATE_H
#define XLRBD_MIGRATE_H

#include <stdint.h>
#include <sys/types.h>

#include "libxlrbd-migrate.h"
#include "xlrbd.h"

#define PROTOCOL	2
/* As xl calls the two copies; others know them by these names. */
#define INCOMING	"--incoming"
#define MIGRATED_AWAY	"--migratedaway"

/* channel.c: messages and a stream through two pipes */

struct channel {
	int in, out;
	pid_t ssh;		/* 0 at the receiving end */
	const char *host;	/* the other one */
	struct pump *pump;	/* while there is a stream */
};

/* `xlrbd receive` at @host, greeted; FAILED after a sentence. */
int channel_open(struct session *s, const char *host, struct channel *ch,
		 json_t **hello_out) CHECKED;
void channel_close(struct channel *ch);
/* Takes @message over; false if nobody is there to take it. */
bool channel_send(struct channel *ch, json_t *message) CHECKED;
/*
 * The next message, or NULL when the channel has ended, or nothing has come for
 * @patience_ms.  The other end is told all the while that we are there.
 */
json_t *channel_receive(struct channel *ch, int64_t patience_ms) CHECKED;
/* Either end of a stream; -1 on failure. */
int channel_begin_output(struct channel *ch) CHECKED;
int channel_begin_input(struct channel *ch) CHECKED;
/* A message of that state, with its domid; or the other end's reason. */
int channel_expect(struct channel *ch, const char *state, int64_t patience_ms,
		   unsigned int *domid_out) CHECKED;
/* The stream is over, its descriptor closed; how many bytes it had. */
uint64_t channel_end_stream(struct channel *ch);

/* send.c: the libxl side at the source */

/*
 * An offer of a domain: name, uuid, an id of this migration, config, memory_kb, disks; or why it cannot
 * be moved, live or not.
 */
int domain_offer(struct session *s, unsigned int domid, bool live,
		 json_t **offer_out) CHECKED;

struct sending {
	const char *name;
	bool show;		/* progress, on stderr */
	unsigned int iterations;
	char doing[64];		/* what libxl calls the present one */
	uint64_t dirty_pages;	/* that came while the last but one was sent */
	int64_t since_ms;	/* the iteration began */
	int64_t dirty_ms;	/* how long it took them */
	int64_t suspended_ms;	/* when the guest stopped; 0: not yet */
};

/* Blocks until all of it has been written to @fd. */
int domain_send(unsigned int domid, int fd, struct sending *sending) CHECKED;
int domain_resume(unsigned int domid, const char *name) CHECKED;
/* To @name, from whatever it is called. */
int domain_rename(unsigned int domid, const char *name) CHECKED;

/* receive.c: the libxl side at the destination */

/* Of our own, for @hello: xen, free_kb. */
int host_describe(json_t *hello) CHECKED;
/* A domid that nobody has, nor gets. */
int domain_choose_domid(unsigned int *domid_out) CHECKED;
/* Can the domain of that configuration be here? */
int domain_check_arrival(const char *config) CHECKED;
/* Restores it, paused, as NAME--incoming. */
int domain_receive(const char *config, unsigned int domid, int fd) CHECKED;

/* departure.c: migrations that have begun on this host */

struct departure {
	unsigned int domid;
	const char *name, *uuid, *host;
	const char *id;		/* of this migration, by chance */
	int file;
};

/* FAILED if the domain is being migrated already, or was when that ended. */
int departure_begin(struct departure *d) CHECKED;
/* From now on the domain may be running there. */
int departure_is_told(struct departure *d) CHECKED;
/* It is known where the domain is. */
void departure_end(struct departure *d);
/* The copy here goes on, by its own name. */
int departure_take_back(const struct departure *d) CHECKED;
/*
 * After "go", and no answer: asks the destination, then ends the copy that is
 * not to run.  DONE, with *@arrived, or FAILED if it cannot be known.
 */
int departure_settle(struct session *s, struct departure *d, bool *arrived)
	CHECKED;

/* cold.c: ended here, started there */

/* With the other end ready. */
int migrate_cold(struct session *s, const char *host, const char *name,
		 unsigned int domid, json_t *offer, json_t *row) CHECKED;

#endif /* XLRBD_MIGRATE_H */
