// What every page needs. Each module listens on the document, so that parts swapped in later work at once.
import "./appearance.js";
import "./basket.js";
import "./box.js";
import "./copy.js";
import "./failures.js";
import "./filters.js";
import "./keys.js";
import "./suggest.js";
import "./explain.js";
