// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Fencing: what a blocklisted client sends is refused by every OSD that knows
 * of it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ceph.h"

/*
 * How much a fence that was read back may fall short: it may be from an earlier
 * takeover of the same client's disks.
 */
#define SLACK_S		((int64_t)4 * 365 * 24 * 3600)

int xlrbd__ceph_blocklist(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
			  char **list_out)
{
	return xlrbd__ceph_ask(ctx, ceph,
			       "{\"prefix\": \"osd blocklist ls\", \"format\": \"json\"}",
			       list_out);
}

static int blocklist(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		     const char *addr, int64_t seconds)
{
	char command[256];
	char *answer;
	int rc;

	/* The command wants a decimal point. */
	snprintf(command, sizeof(command),
		 "{\"prefix\": \"osd blocklist\", \"blocklistop\": \"add\", \"addr\": \"%s\", \"expire\": %" PRId64 ".0}",
		 addr, seconds);
	rc = xlrbd__ceph_ask(ctx, ceph, command, &answer);
	if (!rc)
		free(answer);
	return rc;
}

/*
 * The monitors keep the first expiry of an address, whatever a second command
 * says (ceph: OSDMonitor.cc; its answer names the new one all the same).  And
 * krbd blocklists for an hour when it breaks a dead client's exclusive lock.
 */
static int check_lasts(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		       const char *addr, int64_t seconds)
{
	char until_text[XLRBD__TIME_MAX];
	int64_t until;
	char *list;
	int rc;

	rc = xlrbd__ceph_blocklist(ctx, ceph, &list);
	if (rc < 0)
		return rc;
	until = xlrbd__mon_blocklisted_until(list, addr);
	free(list);
	if (until > time(NULL) + seconds - SLACK_S)
		return 0;
	if (!until)
		return xlrbd__fail(ctx, -EPROTO,
				   "fence client %s: the monitors took the order, but do not list it; see `ceph osd blocklist ls`",
				   addr);
	xlrbd__time_text(until, until_text);
	return xlrbd__fail(ctx, -EEXIST,
			   "fence client %s: somebody else has fenced it, until %s only, and what still runs there could write again after that; have an administrator run `ceph osd blocklist rm %s`, then try again",
			   addr, until_text, addr);
}

static int wait_for_osdmap(const void *cluster)
{
	return rados_wait_for_latest_osdmap(*(const rados_t *)cluster);
}

/* librados waits for it without end. */
static int get_osdmap(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph)
{
	int r = xlrbd__ceph_in_time(ceph, wait_for_osdmap,
				    &ceph->cluster, sizeof(ceph->cluster));

	if (r == -ETIMEDOUT)
		return xlrbd__fail(ctx, r,
				   "the monitors did not send the new osdmap in time; see `ceph -s`");
	return r < 0 ? xlrbd__fail(ctx, r, "wait for the osdmap: %s",
				   strerror(-r)) : 0;
}

/*
 * An OSD takes no request of a later osdmap than it has: so whichever one we
 * (and a krbd that maps after us, linux: rbd_get_client()) speak to knows of
 * the fence before it answers.
 */
int xlrbd__ceph_fence(struct xlrbd_ctx *ctx, struct xlrbd__ceph *ceph,
		      const char *addr, int64_t seconds)
{
	int rc;

	rc = blocklist(ctx, ceph, addr, seconds);
	if (!rc)
		rc = check_lasts(ctx, ceph, addr, seconds);
	return rc < 0 ? rc : get_osdmap(ctx, ceph);
}
