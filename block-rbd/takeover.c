// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * block-rbd takeover - take the disks of a dead host; run by an administrator.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "block-rbd.h"
#include "libxlrbd-cluster.h"

static const struct option options[] = {
	{ "yes", no_argument, NULL, 'y' },
	{ NULL, 0, NULL, 0 },
};

/* What fencing one disk's holder does to the others of its host. */
static bool show(void *data, const struct xlrbd_holder *cut_off, size_t n)
{
	const bool *yes = data;
	size_t i;

	for (i = 0; i < n; i++)
		printf("%s %s of domain %s (%s): client %s of host %s\n",
		       *yes ? "cutting off" : "would cut off", cut_off[i].image,
		       cut_off[i].domain, cut_off[i].uuid, cut_off[i].address,
		       cut_off[i].host);
	fflush(stdout);
	return *yes;
}

static int take(struct xlrbd_ctx *ctx, const char *target, bool yes)
{
	struct xlrbd_spec spec;
	int rc;

	rc = xlrbd_spec_parse(ctx, target, &spec);
	if (!rc)
		rc = xlrbd_spec_set_defaults(ctx, &spec);
	if (!rc)
		rc = xlrbd_takeover(ctx, &spec, show, &yes);
	xlrbd_spec_dispose(&spec);
	if (!rc) {
		printf("%s: free\n", target);
	} else if (rc == -ECANCELED && !yes) {
		printf("%s: nothing done; --yes does it\n", target);
	} else {
		syslog(LOG_ERR, "takeover: %s", xlrbd_error(ctx));
		fprintf(stderr, "block-rbd: takeover: %s\n", xlrbd_error(ctx));
	}
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

int run_takeover(int argc, char **argv)
{
	int status = EXIT_SUCCESS;
	struct xlrbd_ctx *ctx;
	bool yes = false;
	int c;

	while ((c = getopt_long(argc, argv, "y", options, NULL)) != -1) {
		if (c != 'y')
			return EXIT_USAGE;
		yes = true;
	}
	if (optind == argc)
		return EXIT_USAGE;
	if (xlrbd_new(&ctx) < 0)
		return EXIT_FAILURE;
	xlrbd_set_log(ctx, LOG_NOTICE, log_to_syslog, NULL);
	/* One disk in trouble does not keep the others from being taken. */
	for (; optind < argc; optind++)
		if (take(ctx, argv[optind], yes) != EXIT_SUCCESS)
			status = EXIT_FAILURE;
	xlrbd_free(ctx);
	return status;
}
