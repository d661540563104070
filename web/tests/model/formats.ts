import type { Format, Formats } from "../../src/model/types";

function format(label: string, category: string, extensions: string[], targets: string[], options: Format["options"] = {}): Format {
  return { label, category, mime_types: [], extensions, targets, options };
}

/** What the formats are called where the reader's language is the server's. */
export const asTheServerSays = (_id: string, label: string) => label;

/** As GET /formats, but small. */
export const FORMATS: Formats = {
  formats: {
    docx: format("Word document", "document", ["docx"], ["pdf", "odt", "txt", "html", "rtf", "epub", "png", "jpg", "tiff"], {
      pdf: ["office.password", "pages.pages", "pages.password", "pages.new_password"],
      png: ["office.password", "pdf.dpi"],
    }),
    odt: format("OpenDocument text", "document", ["odt"], ["pdf"]),
    rtf: format("Rich text", "document", ["rtf"], []),
    epub: format("E-book", "document", ["epub"], []),
    pdf: format("PDF document", "pdf", ["pdf"], ["png", "txt", "pdf"], { pdf: ["pages.pages", "pages.password", "pages.new_password"], png: ["pdf.dpi"] }),
    txt: format("Plain text", "text", ["txt"], ["pdf"]),
    html: format("Web page", "text", ["html", "htm"], []),
    png: format("PNG image", "image", ["png"], ["jpg", "pdf"]),
    jpg: format("JPEG image", "image", ["jpg", "jpeg"], ["png"]),
    tiff: format("TIFF image", "image", ["tif", "tiff"], []),
    gz: format("Gzip", "archive", ["gz"], ["zip"]),
    tgz: format("Tar archive, gzip", "archive", ["tgz", "tar.gz"], ["zip"]),
    zip: format("ZIP archive", "archive", ["zip"], []),
  },
  options: {
    "office.password": { name: "password", type: "string", label: "Password", secret: true, max_length: 255 },
    "pages.password": { name: "password", type: "string", label: "Another one of that name", secret: true, max_length: 255 },
    "pages.new_password": { name: "new_password", type: "string", label: "Password of the result", secret: true, max_length: 255 },
    "pages.pages": { name: "pages", type: "pages", label: "Pages", max_length: 400, default: null },
    "pdf.dpi": { name: "dpi", type: "integer", label: "Resolution", min: 18, max: 600, default: 150 },
  },
};
