/* The languages for which Debian has data (the packages tesseract-ocr-…): which of them are installed is
 * known where an engine runs, and not where a job is asked for. */
#pragma once

/* What is read where nobody has said a language: it comes with Tesseract. */
#define OCR_FALLBACK "eng"

#define OCR_LANGUAGES                                                                                        \
    "afr amh ara asm aze aze_cyrl bel ben bod bos bre bul cat ceb ces chi_sim chi_sim_vert "                 \
    "chi_tra chi_tra_vert chr cos cym dan deu div dzo ell eng enm epo est eus fao fas fil fin "              \
    "fra frk frm fry gla gle glg grc guj hat heb hin hrv hun hye iku ind isl ita ita_old jav "               \
    "jpn jpn_vert kan kat kat_old kaz khm kir kmr kor kor_vert lao lat lav lit ltz mal mar "                 \
    "mkd mlt mon mri msa mya nep nld nor oci ori pan pol por pus que ron rus san sin slk slv "               \
    "snd spa spa_old sqi srp srp_latn sun swa swe syr tam tat tel tgk tha tir ton tur uig ukr "              \
    "urd uzb uzb_cyrl vie yid yor"
