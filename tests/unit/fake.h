/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fake world for the unit tests: stands in for every file of libxlrbd that
 * touches something outside (libxlrbd_world_sources).  It keeps a journal of
 * what was called, fails where it is told to, and knows what is left behind.
 */
#ifndef FAKE_H
#define FAKE_H

#include "internal.h"

#define FAKE_LOCKERS_MAX 16

struct fake_locker {
	char lock[16], tag[16], client[32], cookie[XLRBD__COOKIE_MAX];
	bool exclusive;
};

struct fake {
	/* What is there; set by the test. */
	char params[256];
	bool writable, published, closed, publish_fails, vbd_exists, watched;
	bool other_vbd;		/* the one on record is another one */
	bool has_line, domain_exists, shared_client_is_fenced;
	char awaits[256];	/* of the record; "" is NULL */
	const char *blocklist;	/* as the monitors answer */
	const char *watched_addr;	/* NULL: @watched is for all */
	char domain[64], uuid[37], vdev[16];
	bool nameless;
	uint64_t features;
	struct xlrbd__record record;
	/* The device's next looks at stat: requests in flight; new ones. */
	int looks_in_flight, looks_busy, n_looks;

	/* Images in the pool, by name, comma separated; and notes. */
	char images[256];
	bool noted, note_is_locked, made_at_another_time;
	char mark[128];		/* what an image is marked with, or "" */
	uint64_t size;

	/* What is left behind. */
	bool mapped, recorded, published_by_us, vbd_locked, image_locked;
	bool arrival_locked;
	int stores, connections;
	struct fake_locker lockers[FAKE_LOCKERS_MAX];
	size_t n_lockers;

	/* Step @fail_at of the journal (from 0) fails with @fail_rc. */
	int fail_at, fail_rc;
	/* And all from @dead_from on, as if the process were no more. */
	int dead_from;
	int n_steps;
	char journal[4096];	/* the steps' names, blank separated */

	/* Called before each step, and each listing of lockers: others' moves. */
	void (*on_step)(const char *name);
	void (*on_list)(void);
	int n_lists;
	/* And before each change of the map. */
	void (*on_change)(void);
};

extern struct fake fake;

/* For the fakes themselves: one step of the journal, which may fail. */
int fake_step(struct xlrbd_ctx *ctx, const char *name);
/* What opaque pointers point to. */
extern char fake_handle;

/* An empty world with a writable rbd/web1 for domain web1, 1/51712. */
void fake_reset(void);
/* Adds somebody else's entry. */
void fake_lock(const char *lock, const char *tag, bool exclusive,
	       const char *client, const char *cookie);
/* Entries whose cookie has the state @state; all of them if NULL. */
size_t fake_count(const char *state);
/* Forgets an entry, as somebody else breaking it would. */
void fake_break(const char *client, const char *state);

/* The map of ceph-map.c; a value of NULL takes the key away. */
void fake_map_reset(void);
void fake_map_set(const char *key, const char *value);
/* "" if there is none. */
const char *fake_map_get(const char *key);
size_t fake_map_size(void);
/* All of it, to be compared; freed by the caller. */
char *fake_map_text(void);

#endif /* FAKE_H */
