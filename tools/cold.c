// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd migrate --cold: ends a domain here and starts it there.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate.h"

/* To make a domain, attach its disks, and start it. */
#define START_MS	(300 * 1000)

/*
 * It does not start there, so it does here again; if it does there all the
 * same, its disks are held, and it does not here.
 */
static int start_again(struct session *s, const char *name, const char *config)
{
	char *why = strdup(last_failure());
	unsigned int domid;
	int rc;

	rc = domain_start(s, config, name, false, &domid);
	tell_failures();
	if (rc)
		fail("%s: is shut down: %s; and not started again here: %s; see `xlrbd where %s`, then `xlrbd create %s`",
		     name, why, last_failure(), name, name);
	else
		fail("%s: not migrated: %s; it was started again here", name,
		     why);
	free(why);
	return FAILED;
}

/* On a channel of its own: a guest may take long to shut down. */
static int start_there(struct session *s, const char *host, json_t *offer,
		       unsigned int *domid_out)
{
	struct channel ch;
	json_t *hello;
	int rc;

	rc = channel_open(s, host, &ch, &hello);
	if (rc)
		return rc;
	set_text(offer, "how", "start");
	rc = !channel_send(&ch, json_incref(offer)) ?
	     fail("the other end is gone") :
	     channel_expect(&ch, "running", START_MS, domid_out);
	channel_close(&ch);
	json_decref(hello);
	return rc;
}

int migrate_cold(struct session *s, const char *host, const char *name,
		 unsigned int domid, json_t *offer, json_t *row)
{
	int64_t begin = now_ms();
	unsigned int there;
	int rc;

	rc = shut_down_and_wait(s, name, domid);
	if (rc) {
		tell_failures();
		return fail("%s: not migrated: %s", name, last_failure());
	}
	rc = start_there(s, host, offer, &there);
	if (rc)
		return start_again(s, name, text_of(offer, "config"));
	json_object_set_new(row, "domid", json_integer(there));
	json_object_set_new(row, "downtime_ms",
			    json_integer(now_ms() - begin));
	json_object_set_new(row, "total_ms", json_integer(now_ms() - begin));
	return DONE;
}
