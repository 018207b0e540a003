// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whoever receives a domain, as far as its disks go, for tests in shell:
 *
 *	arrive NAME UUID DOMID [DEVID r|w IMAGE TARGET]...
 *
 * begins an arrival and prepares the disks, IMAGE as printed below or "-";
 * prints "prepared", waits for a line or the end of stdin, ends the arrival and
 * prints "ended".  What fails is printed instead, as "EBUSY" or whatever it was
 * and the sentence, and ends it; exit code 1 then.
 *
 *	arrive image DOMID DEVID	prints what xlrbd_vbd_image() says
 *	arrive drain DOMID MS		"still"
 *
 * What the library has to say goes to stderr.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "libxlrbd-migrate.h"

#define USAGE	2

static void show(void *data, int level, const char *message)
{
	fprintf(stderr, "arrive: <%d> %s\n", level, message);
}

static int fail(struct xlrbd_ctx *ctx, int rc)
{
	printf("%s %s\n", strerrorname_np(-rc), xlrbd_error(ctx));
	return EXIT_FAILURE;
}

static int say(const char *text)
{
	puts(text);
	fflush(stdout);
	return EXIT_SUCCESS;
}

static unsigned int number(const char *text)
{
	return strtoul(text, NULL, 10);
}

static int prepare(struct xlrbd_arrival *arrival, char **argv)
{
	const struct xlrbd_disk disk = {
		.devid = number(argv[0]),
		.vdev = "xvda",
		.writable = *argv[1] == 'w',
		.image = strcmp(argv[2], "-") ? argv[2] : NULL,
		.target = argv[3],
	};

	return xlrbd_arrival_prepare(arrival, &disk);
}

static int receive(struct xlrbd_ctx *ctx, int argc, char **argv)
{
	struct xlrbd_arrival *arrival;
	int status = EXIT_SUCCESS;
	char line[16];
	int i, rc;

	rc = xlrbd_arrival_begin(ctx, argv[0], argv[1], number(argv[2]),
				 &arrival);
	if (rc < 0)
		return fail(ctx, rc);
	for (i = 3; !rc && i < argc; i += 4)
		rc = prepare(arrival, argv + i);
	if (rc < 0)
		status = fail(ctx, rc);
	else if (!say("prepared") && !fgets(line, sizeof(line), stdin))
		line[0] = '\0';
	rc = xlrbd_arrival_end(arrival);
	if (rc < 0)
		return fail(ctx, rc);
	return status ? status : say("ended");
}

static int show_image(struct xlrbd_ctx *ctx, char **argv)
{
	char image[XLRBD_IMAGE_MAX];
	int rc = xlrbd_vbd_image(ctx, number(argv[0]), number(argv[1]), image);

	return rc < 0 ? fail(ctx, rc) : say(image);
}

static int drain(struct xlrbd_ctx *ctx, char **argv)
{
	int rc = xlrbd_drain(ctx, number(argv[0]), number(argv[1]));

	return rc < 0 ? fail(ctx, rc) : say("still");
}

int main(int argc, char **argv)
{
	struct xlrbd_ctx *ctx;
	int status = USAGE;

	if (xlrbd_new(&ctx) < 0)
		return EXIT_FAILURE;
	xlrbd_set_log(ctx, LOG_INFO, show, NULL);
	if (argc == 4 && !strcmp(argv[1], "image"))
		status = show_image(ctx, argv + 2);
	else if (argc == 4 && !strcmp(argv[1], "drain"))
		status = drain(ctx, argv + 2);
	else if (argc >= 4 && argc % 4 == 0)
		status = receive(ctx, argc - 1, argv + 1);
	else
		fprintf(stderr, "see arrive.c for what it takes\n");
	xlrbd_free(ctx);
	return status;
}
