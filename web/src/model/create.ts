import type { Model } from "./model";
export declare function createModel(): Model;
