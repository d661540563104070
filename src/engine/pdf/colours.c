/* Text has no colour, but Poppler makes the transforms of every ICC profile that a page names before it reads
 * a word of it, and poppler-glib does so again for each page, as each has an output device, and with it a
 * cache of colour spaces, of its own. That was half of the time of a text with a few profiles.
 *
 * lcms lets a program bring its own way of joining profiles for a rendering intent. Ours is lcms's, but for a
 * switch: off, it joins nothing. Poppler then takes a colour from the alternate space of the profile, as it
 * does with a profile that is broken. Device, Lab and other colours without a profile are not concerned.
 *
 * Rejected: drawing the page instead, whose device is the document's and keeps its cache, but decodes
 * pictures and loads fonts; symbols of our own in front of lcms's, which is the same by a back door. */
#include "engine/pdf/colours.h"

#include "core/cleanup.h"

#include <errno.h>
#include <lcms2_plugin.h>

static _Thread_local bool off;

static cmsPipeline *join(cmsContext context, cmsUInt32Number n, cmsUInt32Number intents[],
                         cmsHPROFILE profiles[], cmsBool bpc[], cmsFloat64Number adaptation[],
                         cmsUInt32Number flags)
{
    return off ? NULL : _cmsDefaultICCintents(context, n, intents, profiles, bpc, adaptation, flags);
}

int colours_prepare(void)
{
    static const cmsUInt32Number intents[] = {INTENT_PERCEPTUAL, INTENT_RELATIVE_COLORIMETRIC,
                                              INTENT_SATURATION, INTENT_ABSOLUTE_COLORIMETRIC};

    for (size_t i = 0; i < ARRAY_SIZE(intents); i++) {
        /* lcms copies it. */
        cmsPluginRenderingIntent plugin = {
            .base = {.Magic = cmsPluginMagicNumber,
                     .ExpectedVersion = 2060,
                     .Type = cmsPluginRenderingIntentSig},
            .Intent = intents[i],
            .Link = join,
        };

        if (!cmsPlugin(&plugin))
            return -EIO;
    }
    return 0;
}

void colours_switch(bool on)
{
    off = !on;
}
